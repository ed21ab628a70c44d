//! A broker that lets in only whom it knows: TLS with certificates made for this run, name and
//! password by PLAIN and SCRAM, and an authorizer. One for all tests; each has a prefix of its own.
//!
//! Without TLS and a name anybody is a super user there, which is how the broker speaks to itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{House, Started, run_script};

/// Whom the broker lets do everything.
pub(crate) const MASTER: &str = "house";
/// The password of everybody but those who have it wrong.
pub(crate) const PASSWORD: &str = "correct horse: battery staple";

/// The roles of `quorate topics acls`, as the names of their principals.
pub(crate) const ROLES: [&str; 8] = [
    "quorate-agent",
    "quorate-reviewer",
    "quorate-reporter",
    "quorate-operator",
    "quorate-processor",
    "quorate-gateway",
    "quorate-consumer",
    "quorate-auditor",
];

/// How a broker is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Under TLS, by a certificate.
    Ssl = 1,
    /// Under TLS, by name and SCRAM.
    SaslSsl,
    /// In the open, by name and PLAIN.
    SaslPlaintext,
}

/// The broker, and the files by which clients get in.
#[derive(Debug)]
pub(crate) struct Secured {
    folder: TempDir,
    broker: Started,
}

/// The broker, started by whoever asks first.
pub(crate) fn secured() -> &'static Secured {
    static SECURED: OnceLock<Secured> = OnceLock::new();
    SECURED.get_or_init(Secured::start)
}

impl Secured {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        authority(path, "ca");
        authority(path, "stranger");
        certificate(path, "broker");
        certificate(path, MASTER);
        std::fs::write(path.join("password"), format!("{PASSWORD}\n")).unwrap();
        std::fs::write(path.join("wrong"), "guess").unwrap();
        std::fs::write(path.join("users"), users()).unwrap();
        std::fs::write(path.join("server.properties"), settings(path)).unwrap();
        let variables = [("KAFKA_SECURED", path.to_str().unwrap())];
        let broker = run_script("kafka.sh", &variables);
        Self { folder, broker }
    }

    /// Where everybody may do everything, `host:port`.
    pub(crate) fn open(&self) -> &str {
        self.broker.address.split(' ').next().unwrap()
    }

    /// Where a listener is, `host:port`.
    pub(crate) fn address(&self, listener: Listener) -> &str {
        let mut addresses = self.broker.address.split(' ');
        addresses.nth(listener as usize).unwrap()
    }

    /// A file made for this run.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// What a client is told that comes by name and password.
    pub(crate) fn by_name(&self, protocol: &str, mechanism: &str, name: &str) -> String {
        let password = self.file("password");
        let mut told = format!(
            "[security]\nprotocol = \"{protocol}\"\nsasl_mechanism = \"{mechanism}\"\n\
             sasl_username = \"{name}\"\nsasl_password_file = \"{password}\"\n"
        );
        if protocol == "sasl_ssl" {
            told += &format!("ssl_ca_location = \"{}\"\n", self.file("ca.pem"));
        }
        told
    }

    /// A house at a listener, whose program is told this.
    pub(crate) fn house(&self, listener: Listener, told: &str) -> House {
        House::at(self.address(listener), told)
    }
}

/// The start of a command line that runs one of Kafka's own tools, of the jars that are there.
pub(crate) fn kafka_tool(class: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cache = std::env::var("QUORATE_CACHE").map_or_else(|_| root.join(".cache"), PathBuf::from);
    let jars = std::fs::read_dir(cache).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let is_kafka = path.file_name()?.to_str()?.starts_with("kafka-");
        (is_kafka && path.join(".complete").exists()).then_some(path)
    });
    let jars = jars.expect("the broker that runs was fetched");
    format!(
        "java -XX:TieredStopAtLevel=1 -cp '{}/*' {class}",
        jars.display()
    )
}

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {arguments}: {said}");
}

/// Somebody who vouches for others.
fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key \
             -out {name}.pem -addext basicConstraints=critical,CA:TRUE"
        ),
    );
}

/// Somebody the authority vouches for, on this machine.
fn certificate(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr \
             -addext subjectAltName=IP:127.0.0.1"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -copy_extensions copy -out {name}.pem"
        ),
    );
    let part = |end| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).unwrap();
    let both = part("key") + &part("pem");
    std::fs::write(folder.join(format!("{name}.both.pem")), both).unwrap();
}

fn users() -> String {
    let names = ROLES.iter().chain([&MASTER]);
    let user = |name: &&str| {
        let who = format!("[name=\"{name}\",password=\"{PASSWORD}\"]");
        format!("SCRAM-SHA-256={who}\nSCRAM-SHA-512={who}\n")
    };
    names.map(user).collect()
}

fn settings(folder: &Path) -> String {
    let file = |name| folder.join(name).to_str().unwrap().to_owned();
    let module = "org.apache.kafka.common.security";
    let scram = format!("{module}.scram.ScramLoginModule required;");
    let plain = format!("{module}.plain.PlainLoginModule required user_{MASTER}=\"{PASSWORD}\";");
    format!(
        "ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n\
         listener.name.ssl.ssl.client.auth=required\n\
         listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512\n\
         listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram}\n\
         listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram}\n\
         listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN\n\
         listener.name.sasl_plaintext.plain.sasl.jaas.config={plain}\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS;User:{MASTER};User:CN={MASTER}\n",
        file("broker.both.pem"),
        file("ca.pem"),
    )
}

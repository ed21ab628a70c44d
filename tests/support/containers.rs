//! The parts as containers, where an engine has the images; nothing is pulled.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::SyncRunner as _;
use testcontainers::{GenericImage, ImageExt as _};

use super::{Started, guard};

const KAFKA: (&str, &str) = ("apache/kafka", "4.3.1");
const REGISTRY: (&str, &str) = ("apicurio/apicurio-registry-mem", "2.6.13.Final");

fn is_there((name, tag): (&str, &str)) -> bool {
    let inspect = Command::new("docker")
        .args(["image", "inspect", &format!("{name}:{tag}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    inspect.is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Kafka in a container; clients are told to go to the address advertised, if one is given.
pub(crate) fn kafka(advertised: Option<&str>) -> Option<Started> {
    if !is_there(KAFKA) {
        return None;
    }
    // It has to say where it is reached from outside, so the port is chosen here.
    let port = free_port();
    let outside = advertised.map_or_else(|| format!("127.0.0.1:{port}"), str::to_owned);
    let advertised = format!("PLAINTEXT://{outside},INSIDE://localhost:19092");
    let container = GenericImage::new(KAFKA.0, KAFKA.1)
        .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
        .with_mapped_port(port, 9092.tcp())
        .with_env_var("KAFKA_NODE_ID", "1")
        .with_env_var("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env_var(
            "KAFKA_LISTENERS",
            "PLAINTEXT://:9092,INSIDE://:19092,CONTROLLER://:9093",
        )
        .with_env_var("KAFKA_ADVERTISED_LISTENERS", advertised)
        .with_env_var(
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        )
        .with_env_var("KAFKA_INTER_BROKER_LISTENER_NAME", "INSIDE")
        .with_env_var("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env_var("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env_var("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env_var("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .with_env_var("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
        .with_env_var(
            "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS",
            "1000",
        )
        .with_env_var("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
        .start()
        .unwrap();
    Some(kept(container, format!("127.0.0.1:{port}")))
}

/// A schema registry in a container.
pub(crate) fn registry() -> Option<Started> {
    if !is_there(REGISTRY) {
        return None;
    }
    let container = GenericImage::new(REGISTRY.0, REGISTRY.1)
        .with_exposed_port(8080.tcp())
        .with_wait_for(WaitFor::message_on_stdout("Listening on"))
        .start()
        .unwrap();
    let port = container.get_host_port_ipv4(8080.tcp()).unwrap();
    let address = format!("http://127.0.0.1:{port}/apis/ccompat/v7");
    Some(kept(container, address))
}

/// Nobody drops a static, so a guard removes the container when this process is gone.
fn kept(container: testcontainers::Container<GenericImage>, address: String) -> Started {
    let keeper = Some(guard(&format!("docker rm -f {}", container.id())));
    std::mem::forget(container);
    Started { address, keeper }
}

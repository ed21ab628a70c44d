//! Whether a broker lets us in, found out before anything else is asked of one.
//!
//! The client tries for ever and says of each attempt only in passing why it failed. Here that is
//! heard, so that a wrong password or a certificate nobody vouches for is an answer, and at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};

use super::connection::PATIENCE;
use super::{Connection, Error};

/// How long to wait before looking again whether somebody has given up.
const LOOK: Duration = Duration::from_millis(50);

/// What was said at the door.
#[derive(Default)]
struct Door(Mutex<Said>);

#[derive(Default)]
struct Said {
    /// Why we were not let in, or why nobody was there.
    why: Option<String>,
    /// Whether trying again would come to the same.
    refused: bool,
    /// Whether every broker known was tried in vain.
    all_down: bool,
}

impl ClientContext for Door {
    // Instead of the log, since what counts of it becomes the answer.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if facility == "FAIL" && said.why.is_none() {
            said.why = Some(text.to_owned());
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode as Code;
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => said.all_down = true,
            Some(Code::Authentication | Code::SSL) => {
                said.refused = true;
                said.why = Some(reason.to_owned());
            }
            _ if !said.refused => said.why = Some(reason.to_owned()),
            _ => {}
        }
    }
}

impl ProducerContext for Door {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl Connection {
    /// Waits until a broker lets us in, for a while; whether it did before `stop` said to stop.
    ///
    /// # Errors
    /// [`Error::Unfit`] if every broker refuses who we are or how we come, or none answers.
    pub fn reach(&self, stop: impl Fn() -> bool) -> Result<bool, Error> {
        let producer: BaseProducer<Door> = self
            .asker()
            .create_with_context(Door::default())
            .map_err(Error::kafka("make a client"))?;
        let until = Instant::now() + PATIENCE;
        while !stop() {
            if producer.client().fetch_cluster_id(LOOK).is_some() {
                return Ok(true);
            }
            producer.poll(Duration::ZERO);
            let context = producer.context();
            let said = context.0.lock().unwrap_or_else(PoisonError::into_inner);
            let why = said.why.as_deref();
            if said.refused && said.all_down {
                let text = format!(
                    "no broker of `{}` lets us in: {}; see that [security] is right",
                    self.bootstrap(),
                    why.unwrap_or("it does not say why")
                );
                return Err(Error::Unfit(text));
            }
            if Instant::now() > until {
                let text = format!(
                    "no broker of `{}` answers: {}; see that `bootstrap` and [security] are right",
                    self.bootstrap(),
                    why.unwrap_or("nothing is heard of them")
                );
                return Err(Error::Unfit(text));
            }
        }
        Ok(false)
    }
}

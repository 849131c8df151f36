//! A server that keeps a client busy and tells it nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::bounds;
use super::stream::{Connection, LONGEST};
use super::trouble::Trouble;
use crate::wire::dso::Changes;
use crate::wire::record::question;
use crate::wire::{Name, rtype};

fn name() -> Name {
    Name::from_text("web.example").unwrap()
}

/// Asks one question of a server, which ends with the test; virtual time.
async fn asked<F: Future<Output = ()> + Send + 'static>(
    serve: impl FnOnce(DuplexStream) -> F,
) -> (Result<usize, Trouble>, Duration) {
    let (ours, theirs) = duplex(1 << 16);
    let server = tokio::spawn(serve(theirs));
    let (mut connection, start) = (Connection::over(ours, "server"), Instant::now());
    let asking = connection.ask(&[(name(), rtype::A)]).await;
    server.abort();
    (asking.map(|replies| replies[0].answer.len()), start.elapsed())
}

fn behind_length(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A reply without a record to a question of ours.
fn reply(id: u16, name: &Name) -> Vec<u8> {
    let mut message = question(id, name, rtype::A, 512);
    message[2] |= 0x84;
    behind_length(&message)
}

/// The ID of the one question.
async fn question_of(io: &mut DuplexStream) -> u16 {
    let length = io.read_u16().await.unwrap();
    let mut message = vec![0; length.into()];
    io.read_exact(&mut message).await.unwrap();
    u16::from_be_bytes([message[0], message[1]])
}

#[tokio::test(start_paused = true)]
async fn pushes_in_the_place_of_an_answer_have_a_bound() {
    let (asked, _) = asked(|mut io| async move {
        question_of(&mut io).await;
        let owner = name();
        let mut changes = Changes::new(owner.as_wire(), None);
        (0..1000_u32).for_each(|n| changes.add(rtype::A, 5, &n.to_be_bytes()));
        let pushes = changes.finish().concat();
        // Ten times as much as is taken.
        for _ in 0..10 * bounds::ASIDE / pushes.len() {
            if io.write_all(&pushes).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    })
    .await;
    let trouble = asked.unwrap_err().to_string();
    assert_eq!(trouble, "server says more pushes before an answer than are taken");
}

#[tokio::test(start_paused = true)]
async fn answers_to_something_else_are_no_answer_for_ever() {
    let asking = asked(|mut io| async move {
        let id = question_of(&mut io).await;
        let other = Name::from_text("other.example").unwrap();
        loop {
            // To another question with our ID, and to ours with another one.
            for reply in [reply(id, &other), reply(id ^ 1, &name())] {
                sleep(Duration::from_secs(1)).await;
                if io.write_all(&reply).await.is_err() {
                    return;
                }
            }
        }
    });
    let (asked, took) = timeout(Duration::from_secs(600), asking).await.expect("an end");
    assert!(matches!(asked, Err(Trouble::Silent { .. })), "{asked:?}");
    assert!(took >= LONGEST && took < 2 * LONGEST, "{took:?}");
    // The right one among them is taken.
    let (asked, _) = self::asked(|mut io| async move {
        let id = question_of(&mut io).await;
        io.write_all(&[reply(id ^ 1, &name()), reply(id, &name())].concat()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(asked.unwrap(), 0);
}

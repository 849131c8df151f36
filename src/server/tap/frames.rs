//! Frame Streams, as a writer speaks it in both directions (<https://farsightsec.github.io/fstrm/>): data frames behind a
//! length each, control frames behind a length of zero.
//!
//! The writer says READY with the content that it has, the reader ACCEPT with what it takes of it, the writer START; at
//! the end STOP, and the reader FINISH.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What is in the frames.
pub(super) const DNSTAP: &[u8] = b"protobuf:dnstap.Dnstap";
/// The most octets of a control frame (`FSTRM_CONTROL_FRAME_LENGTH_MAX`).
const MOST_CONTROL: u32 = 512;
/// The one field that control frames have.
const CONTENT_TYPE: u32 = 1;

const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;

/// Why a stream does not begin or end as it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("nobody listens there")]
    Connect(#[source] io::Error),
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("what came is no control frame of Frame Streams")]
    NotControl,
    #[error("control frame {0} came, where {1} was due")]
    Other(u32, u32),
    #[error("the reader does not take dnstap")]
    NotTaken,
}

/// Begins to write.
pub(super) async fn open(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), StreamError> {
    stream.write_all(&control(READY, Some(DNSTAP))).await?;
    let types = read_control(stream, ACCEPT).await?;
    // A reader that names none takes anything.
    if !types.is_empty() && !types.iter().any(|content| content == DNSTAP) {
        return Err(StreamError::NotTaken);
    }
    stream.write_all(&control(START, Some(DNSTAP))).await?;
    Ok(())
}

/// Ends; once it returns, the reader has everything.
pub(super) async fn close(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), StreamError> {
    stream.write_all(&control(STOP, None)).await?;
    read_control(stream, FINISH).await.map(|_| ())
}

fn control(kind: u32, content: Option<&[u8]>) -> Vec<u8> {
    let mut payload = kind.to_be_bytes().to_vec();
    if let Some(content) = content {
        payload.extend(CONTENT_TYPE.to_be_bytes());
        payload.extend(length(content));
        payload.extend_from_slice(content);
    }
    let mut frame = vec![0; 4];
    frame.extend(length(&payload));
    frame.extend(payload);
    frame
}

/// Of a few octets.
fn length(octets: &[u8]) -> [u8; 4] {
    u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// Reads the control frame that is due; the content types that it names.
async fn read_control(stream: &mut (impl AsyncRead + Unpin), due: u32) -> Result<Vec<Vec<u8>>, StreamError> {
    let escape = stream.read_u32().await?;
    let length = stream.read_u32().await?;
    if escape != 0 || !(4..=MOST_CONTROL).contains(&length) {
        return Err(StreamError::NotControl);
    }
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    let mut rest = payload.as_slice();
    let kind = word(&mut rest)?;
    if kind != due {
        return Err(StreamError::Other(kind, due));
    }
    let mut types = Vec::new();
    while !rest.is_empty() {
        let (field, length) = (word(&mut rest)?, word(&mut rest)? as usize);
        let (content, behind) = rest.split_at_checked(length).ok_or(StreamError::NotControl)?;
        if field != CONTENT_TYPE {
            return Err(StreamError::NotControl);
        }
        types.push(content.to_vec());
        rest = behind;
    }
    Ok(types)
}

fn word(octets: &mut &[u8]) -> Result<u32, StreamError> {
    let (word, rest) = octets.split_first_chunk().ok_or(StreamError::NotControl)?;
    *octets = rest;
    Ok(u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `open` says and makes of a reader's word.
    async fn opened(word: &[u8]) -> (Vec<u8>, Result<(), StreamError>) {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(word).await.unwrap();
        theirs.shutdown().await.unwrap();
        let result = open(&mut ours).await;
        drop(ours);
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        (said, result)
    }

    #[tokio::test]
    async fn the_words_are_those_of_the_protocol() {
        let (said, result) = opened(&control(ACCEPT, Some(DNSTAP))).await;
        result.unwrap();
        let frame = |kind: u8| {
            let head = [0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, kind, 0, 0, 0, 1, 0, 0, 0, 22];
            [&head[..], b"protobuf:dnstap.Dnstap"].concat()
        };
        assert_eq!(said, [frame(4), frame(2)].concat());
        assert_eq!(control(STOP, None), [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]);
    }

    #[tokio::test]
    async fn a_reader_that_takes_something_else_is_left() {
        assert!(opened(&control(ACCEPT, None)).await.1.is_ok());
        assert!(matches!(opened(&control(ACCEPT, Some(b"x"))).await.1, Err(StreamError::NotTaken)));
        assert!(matches!(opened(&control(FINISH, None)).await.1, Err(StreamError::Other(FINISH, ACCEPT))));
        assert!(matches!(opened(b"HTTP/1.1 400 Bad Request").await.1, Err(StreamError::NotControl)));
        let cut = control(ACCEPT, Some(DNSTAP));
        for end in 0..cut.len() {
            assert!(matches!(opened(&cut[..end]).await.1, Err(StreamError::Io(_))), "{end}");
        }
        // A length that reaches behind the frame, one that is too large, and none.
        let mut far = cut.clone();
        far[19] = 23;
        assert!(matches!(opened(&far).await.1, Err(StreamError::NotControl)));
        for length in [513_u32, 3, 0] {
            let mut long = cut.clone();
            long[4..8].copy_from_slice(&length.to_be_bytes());
            assert!(matches!(opened(&long).await.1, Err(StreamError::NotControl)), "{length}");
        }
    }

    #[tokio::test]
    async fn the_end_waits_for_the_reader() {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        let reader = async {
            let mut stop = [0; 12];
            theirs.read_exact(&mut stop).await.unwrap();
            assert_eq!(stop, *control(STOP, None));
            theirs.write_all(&control(FINISH, None)).await.unwrap();
        };
        let (closed, ()) = tokio::join!(close(&mut ours), reader);
        closed.unwrap();
    }
}

//! What the integration tests share: the program as a child process, and a dig of our own.
//!
//! `query` writes packets, `exchange` carries them, `reply` reads what came back, `script` reads the files of
//! `tests/cases`, `compare` holds the two against each other, `openapi` holds answers of the API against its
//! description, `wait` waits for what must come, `scrape` reads `/metrics`, and `push` subscribes.

pub(crate) mod compare;
pub(crate) mod exchange;
pub(crate) mod openapi;
pub(crate) mod push;
pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod scrape;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod upstream;
pub(crate) mod wait;

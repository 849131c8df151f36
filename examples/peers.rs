//! Follows the peers of a headless service, as an application would that has them in its own process.
//!
//! ```sh
//! cargo run --release -- serve --config config/demo.toml &
//! cargo run --release --example peers -- nginx default 127.0.0.1:5300
//! ```
//!
//! In a pod the service alone is enough: namespace, zone and name servers are found there.
#![allow(clippy::print_stdout, reason = "an example prints")]

use rollcall::peers::{Kind, Options, Peers, Surroundings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut options =
        Options { service: arguments.next(), namespace: arguments.next(), ..Options::default() };
    for server in arguments {
        options.servers.push(server.parse()?);
    }

    let mut peers = Peers::follow(options.complete(&Surroundings::of_this_pod()))?;
    while let Some(event) = peers.next().await {
        let list = &event.list;
        // Who is slow here is told the newest list: what came between is in the difference.
        match event.kind {
            Kind::Start | Kind::Change => {
                for peer in &event.difference.added {
                    println!("+ {} {:?} ports {:?}", peer.name, peer.addresses, peer.ports);
                }
                for peer in &event.difference.removed {
                    println!("- {}", peer.name);
                }
                for peer in &event.difference.changed {
                    println!("~ {} {:?}", peer.name, peer.addresses);
                }
            }
            // The last list stays what it was: an outage of DNS is none of the peers.
            Kind::Stale => println!("the peers are not followed just now: {:?}", list.stale),
            Kind::Fresh | Kind::Way => println!("the peers are followed by {} at {}", list.way, list.server),
            Kind::Expected => println!("{:?} peers are expected", list.expected),
        }
    }
    Ok(())
}

//! hickory-server with the least that a handler can do: a map from name to addresses, read from a master file.
//!
//! A of a name that has addresses is answered with all of them, in order; another type of a name that the file has is
//! answered NOERROR without records, every other name NXDOMAIN; neither has the SOA record that a zone's answer would.
//! A reply has an OPT record when the question has. So SRV is less work here than elsewhere.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr as _;

use anyhow::Context as _;
use clap::Parser;
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Edns, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::A;
use hickory_server::proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

/// The size that replies say, as the other servers have it.
const PAYLOAD: u16 = 1232;

/// Answer the A records of a master file through hickory-server.
#[derive(Debug, Parser)]
struct Arguments {
    /// What `rollcall records` printed
    #[arg(long)]
    records: PathBuf,
    /// Where to listen; the address is printed
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

struct Addresses(HashMap<LowerName, Vec<Record>>);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let text = std::fs::read_to_string(&arguments.records).context("cannot read the records")?;
    let addresses = Addresses::of(&text)?;
    // One thread: it has one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(addresses, arguments.listen))
}

async fn serve(addresses: Addresses, listen: SocketAddr) -> anyhow::Result<()> {
    let (socket, listener) = bind(listen).await?;
    let address = socket.local_addr()?;
    let mut server = Server::new(addresses);
    server.register_socket(socket);
    server.register_listener(listener, std::time::Duration::from_secs(10), 128);
    println!("listening {address}");
    server.block_until_done().await.context("the server ended")
}

/// Both transports on one port. Where the kernel chooses it, it chooses by UDP, and TCP may have lent it to somebody.
async fn bind(listen: SocketAddr) -> anyhow::Result<(UdpSocket, TcpListener)> {
    let mut tries = if listen.port() == 0 { 16 } else { 1 };
    loop {
        let socket = UdpSocket::bind(listen).await.context("cannot listen over UDP")?;
        tries -= 1;
        match TcpListener::bind(socket.local_addr()?).await {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(error).context("cannot listen over TCP"),
        }
    }
}

impl Addresses {
    fn of(text: &str) -> anyhow::Result<Self> {
        let mut by_name: HashMap<LowerName, Vec<Record>> = HashMap::new();
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let [owner, ttl, "IN", rtype, data] = fields[..] else { continue };
            let name = Name::from_str(owner).with_context(|| format!("not a name: {owner}"))?;
            let records = by_name.entry(LowerName::from(&name)).or_default();
            if rtype == "A" {
                let address: Ipv4Addr = data.parse().with_context(|| format!("not an address: {data}"))?;
                let ttl = ttl.parse().with_context(|| format!("not a TTL: {ttl}"))?;
                records.push(Record::from_rdata(name, ttl, RData::A(A(address))));
            }
        }
        Ok(Self(by_name))
    }

    fn answer(&self, request: &Request) -> (ResponseCode, &[Record]) {
        let Ok(info) = request.request_info() else { return (ResponseCode::FormErr, &[]) };
        match self.0.get(info.query.name()) {
            Some(records) if info.query.query_type() == RecordType::A => (ResponseCode::NoError, records),
            Some(_) => (ResponseCode::NoError, &[]),
            None => (ResponseCode::NXDomain, &[]),
        }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Addresses {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let (code, answers) = self.answer(request);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        metadata.response_code = code;
        let edns = request.edns.as_ref().map(|_| {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD);
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let response = builder.build(metadata, answers, [], [], []);
        // What cannot be sent is lost, and the generator says so.
        response_handle.send_response(response).await.unwrap_or_else(|_| {
            ResponseInfo::from(hickory_server::proto::op::Header {
                metadata,
                counts: HeaderCounts::default(),
            })
        })
    }
}

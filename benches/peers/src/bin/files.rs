//! `files FOLDER`: actix-files serves a folder on a free port of 127.0.0.1 and says where. What downloads are measured beside.

use actix_files::Files;
use actix_web::{App, HttpServer};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let server = HttpServer::new(move || App::new().service(Files::new("/", &folder)));
    let server = server.bind(("127.0.0.1", 0))?;
    for address in server.addrs() {
        println!("{address}");
    }
    server.run().await
}

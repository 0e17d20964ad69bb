//! `larder-tenant`: serves a simulated tenant until its standard input closes.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use clap::Parser;
use larder_tenant::application::{Application, SelfSigned};
use larder_tenant::content::Size;
use larder_tenant::gate::Throttle;
use larder_tenant::{Tenant, TenantOptions};
use serde_json::Value;

/// The id of the application that `--application` registers.
const CLIENT_ID: &str = "00000000-0000-4000-8000-0000000000aa";

/// Serves a simulated Microsoft 365 tenant on loopback until standard input closes. Prints one line of JSON with all
/// endpoints and accounts when it is ready.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Decides all content
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much there is: small or medium
    #[arg(long, default_value = "small", value_parser = parse_size)]
    size: Size,
    /// Pool accounts
    #[arg(long, default_value_t = 3)]
    accounts: u32,
    /// Accounts of a federated domain, besides
    #[arg(long, default_value_t = 0)]
    federated: u32,
    /// Registers an application and writes its certificate and key to this file, as PEM
    #[arg(long)]
    application: Option<PathBuf>,
    /// Adds a file of this many bytes
    #[arg(long)]
    big_file: Option<u64>,
    /// Adds a message of this many bytes
    #[arg(long)]
    big_message: Option<u64>,
    /// Limits per account and service, as JSON: `{"per_second":10,"burst":20,"penalty_ms":1000}`
    #[arg(long, value_parser = parse_throttle)]
    throttle: Option<Throttle>,
    /// Also writes endpoints and accounts as shell variables to this file
    #[arg(long)]
    write_env: Option<PathBuf>,
}

fn parse_size(text: &str) -> Result<Size, String> {
    match text {
        "small" => Ok(Size::Small),
        "medium" => Ok(Size::Medium),
        _ => Err("either small or medium".to_string()),
    }
}

fn parse_throttle(text: &str) -> Result<Throttle, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let options = TenantOptions {
        seed: arguments.seed,
        size: arguments.size,
        accounts: arguments.accounts,
        federated: arguments.federated,
        throttle: arguments.throttle.unwrap_or_default(),
        big_file_bytes: arguments.big_file,
        big_message_bytes: arguments.big_message,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let tenant = runtime.block_on(Tenant::start(options))?;
    let mut line = tenant.describe();
    if let Some(path) = &arguments.application {
        let certificate = SelfSigned::generate()?;
        tenant.applications().register(Application::new(CLIENT_ID).with_certificate(&certificate));
        write_private(path, &certificate.pem())?;
        line["client_id"] = CLIENT_ID.into();
    }
    if let Some(path) = &arguments.write_env {
        std::fs::write(path, as_variables(&line))?;
    }
    writeln!(io::stdout(), "{line}")?;
    io::stdout().flush()?;
    // The servers run on the runtime's threads; this one only waits to be told to stop.
    let mut ignored = [0; 256];
    while io::stdin().read(&mut ignored)? > 0 {}
    drop(tenant);
    Ok(())
}

/// Writes a file that nobody else may read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// `LARDER_TENANT_LOGIN='http://…'` and so on; accounts are numbered from 1.
fn as_variables(line: &Value) -> String {
    let mut text = String::new();
    let mut set = |name: &str, value: &Value| {
        let value = value.as_str().unwrap_or_default().replace('\'', "'\\''");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "export LARDER_TENANT_{name}='{value}'");
    };
    for name in ["login", "sharepoint", "my", "admin", "exchange", "adfs", "control", "client_id"] {
        set(&name.to_uppercase(), &line[name]);
    }
    for (number, account) in (1..).zip(line["accounts"].as_array().into_iter().flatten()) {
        set(&format!("USER_{number}"), &account["user"]);
        set(&format!("APP_PASSWORD_{number}"), &account["app_password"]);
        set(&format!("PASSWORD_{number}"), &account["password"]);
    }
    text
}

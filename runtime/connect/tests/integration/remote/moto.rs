//! [`Moto`]: moto's server of S3, from PyPI, on loopback, and what boto3 sees in it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The version whose answers these tests have seen.
const MOTO: &str = "moto[server]==5.2.5";

/// A server with a bucket called `lake`. It ends with this value.
pub(crate) struct Moto {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets S3 be driven from outside: `boto3` is a part of moto's own environment.
const SERVE: &str = "
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f'http://{host}:{port}', flush=True)
sys.stdin.read()
";

const INSPECT: &str = "
import sys, boto3
s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1',
                  aws_access_key_id='x', aws_secret_access_key='y')
if sys.argv[2] == 'make':
    s3.create_bucket(Bucket=sys.argv[3])
elif sys.argv[2] == 'put':
    s3.put_object(Bucket=sys.argv[3], Key=sys.argv[4], Body=sys.argv[5].encode())
elif sys.argv[2] == 'get':
    sys.stdout.buffer.write(s3.get_object(Bucket=sys.argv[3], Key=sys.argv[4])['Body'].read())
elif sys.argv[2] == 'cat':
    for o in s3.list_objects_v2(Bucket=sys.argv[3], Prefix=sys.argv[4]).get('Contents', []):
        sys.stdout.buffer.write(s3.get_object(Bucket=sys.argv[3], Key=o['Key'])['Body'].read())
elif sys.argv[2] == 'begin':
    s3.create_multipart_upload(Bucket=sys.argv[3], Key=sys.argv[4])
else:
    for o in s3.list_objects_v2(Bucket=sys.argv[3]).get('Contents', []):
        print(o['Key'])
    for key in sorted(u['Key'] for u in s3.list_multipart_uploads(Bucket=sys.argv[3]).get('Uploads', [])):
        print('open', key)
";

/// The environment's Python, made once. A mark says that everything was installed.
pub(crate) fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    let made = PYTHON.get_or_init(|| {
        let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moto-5.2.5");
        let (python, mark) = (
            environment.join("bin/python"),
            environment.join("installed"),
        );
        let runs = |command: &mut Command| command.status().is_ok_and(|status| status.success());
        if !mark.exists() {
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv", "--clear"]).arg(&environment);
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--no-compile", MOTO]);
            if !(runs(&mut venv) && runs(&mut pip)) {
                return None;
            }
            std::fs::write(&mark, "").unwrap();
        }
        Some(python.to_str()?.to_owned())
    });
    made.as_deref()
}

impl Moto {
    /// `None` where pip cannot install it.
    pub(crate) fn start() -> Option<Self> {
        let Some(python) = python() else {
            println!("skipped: there is no Python with venv and pip, or PyPI cannot be reached");
            return None;
        };
        let mut command = Command::new(python);
        command
            .args(["-c", SERVE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut url = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        let moto = Self { child, url };
        moto.inspect(&["make", "lake"]);
        Some(moto)
    }

    /// What boto3 sees.
    pub(crate) fn inspect(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(python().unwrap());
        command.args(["-c", INSPECT, &self.url]).args(arguments);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Keys of the bucket, and uploads that were begun.
    pub(crate) fn names(&self) -> Vec<String> {
        self.inspect(&["list", "lake"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn put(&self, key: &str, body: &str) {
        self.inspect(&["put", "lake", key, body]);
    }
}

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use super::{Proxy, tools};

/// Runs the real kwokctl, then sends whoever reads the kubeconfig it produced to the proxy.
///
/// It asks by a file in a spool folder and waits for the answer beside it, so it needs nothing but
/// a shell. The cluster's own programs keep their direct way.
const SCRIPT: &str = r#"#!/bin/sh
real='@REAL@'
spool='@SPOOL@'
verb="$1 $2" name=kwok kubeconfig= previous=
for argument in "$@"; do
	case $argument in
	--name=*) name=${argument#--name=} ;;
	--kubeconfig=*) kubeconfig=${argument#--kubeconfig=} ;;
	esac
	case $previous in
	--name) name=$argument ;;
	--kubeconfig) kubeconfig=$argument ;;
	esac
	previous=$argument
done
proxy() {
	folder=${KWOK_WORKDIR:-$HOME/.kwok}/clusters/$name
	printf '%s' "$folder" >"$spool/$$.part"
	mv "$spool/$$.part" "$spool/$$.ask"
	tries=0
	while [ ! -f "$spool/$$.url" ]; do
		tries=$((tries + 1))
		[ "$tries" -lt 1500 ] || { echo "shim: the stage does not answer" >&2; exit 70; }
		sleep 0.02
	done
	cat "$spool/$$.url"
	rm "$spool/$$.url"
}
printf '%s\n' "$*" >>"$spool/calls"
case $verb in
'get kubeconfig')
	text=$("$real" "$@") || exit
	url=$(proxy) || exit
	printf '%s\n' "$text" | sed "s#server: .*#server: $url#"
	;;
*)
	"$real" "$@"
	code=$?
	if [ -n "$kubeconfig" ] && [ -f "$kubeconfig" ] && [ "$verb" != 'delete cluster' ]; then
		url=$(proxy) || exit
		text=$(sed "s#server: .*#server: $url#" "$kubeconfig") || exit
		printf '%s\n' "$text" >"$kubeconfig"
	fi
	exit $code
	;;
esac
"#;

/// A `kwokctl` to be put first on PATH, which puts a proxy before the cluster that it makes.
pub struct Shim {
    folder: TempDir,
    proxy: Arc<Proxy>,
    over: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

impl Shim {
    /// Writes it and begins to answer it.
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("berth-shim-").tempdir().expect("a temp folder is writable");
        let spool = folder.path().join("spool");
        let bin = folder.path().join("bin");
        for path in [&spool, &bin] {
            fs::create_dir(path).expect("the folder is ours");
        }
        let script = SCRIPT
            .replace("@REAL@", &tools().join("kwokctl").display().to_string())
            .replace("@SPOOL@", &spool.display().to_string());
        let program = bin.join("kwokctl");
        fs::write(&program, script).expect("the folder is ours");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        let proxy = Arc::new(Proxy::unattached());
        let over = Arc::new(AtomicBool::new(false));
        let answering = std::thread::spawn({
            let (proxy, over) = (proxy.clone(), over.clone());
            move || {
                while !over.load(Ordering::Relaxed) {
                    answer(&spool, &proxy);
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self { folder, proxy, over, answering: Some(answering) }
    }

    /// The folder for PATH.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// The proxy before whatever cluster was made last.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The arguments of every call so far, one line for each.
    pub fn calls(&self) -> String {
        // Nothing was called as long as there is no such file.
        fs::read_to_string(self.folder.path().join("spool/calls")).unwrap_or_default()
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.answering.take() {
            thread.join().expect("it only reads and writes the spool");
        }
    }
}

/// Answers every question in the spool: the cluster goes behind the proxy, its address comes back.
fn answer(spool: &Path, proxy: &Proxy) {
    for entry in fs::read_dir(spool).expect("the folder is ours").flatten() {
        let ask = entry.path();
        if ask.extension().is_none_or(|extension| extension != "ask") {
            continue;
        }
        let folder = fs::read_to_string(&ask).expect("it was moved there whole");
        fs::remove_file(&ask).expect("the folder is ours");
        // A cluster that was not made has no proxy; the shim then passes on kwokctl's own failure.
        let url = match proxy.attach(Path::new(&folder)) {
            Ok(()) => proxy.url(),
            Err(_) => "https://127.0.0.1:1".to_string(),
        };
        let part = ask.with_extension("answer");
        fs::write(&part, url).expect("the folder is ours");
        fs::rename(&part, ask.with_extension("url")).expect("the folder is ours");
    }
}

use std::fs::File;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::mpsc;

use super::exec::{Finished, Program};
use crate::base::{Fault, FaultKind};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;
/// How many chunks the fastest reader may be ahead of the slowest.
const AHEAD: usize = 32;

/// One stream of bytes from a program or a file into several programs at once, each of which gets all of
/// it as its standard input. Dropping the running future kills them all.
#[derive(Debug)]
pub struct Pipe {
    from: Source,
    into: Vec<Program>,
}

/// Where the bytes of a [`Pipe`] come from.
#[derive(Debug)]
pub enum Source {
    /// What a program writes to its standard output.
    Program(Program),
    /// What a file holds from where it stands.
    File(File),
}

/// How a [`Pipe`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piped {
    /// The program that the bytes came from failed: those that read it were stopped before they saw an end.
    Cut(Finished),
    /// Every reader came to its end, in the order in which they were given; some may have failed.
    Through(Vec<Finished>),
}

/// One that reads: its process, and what it is still to be given.
struct Reader {
    child: Child,
    chunks: mpsc::Receiver<Arc<[u8]>>,
}

impl Pipe {
    /// A pipe from `from` into each of `into`.
    pub fn new(from: Source, into: Vec<Program>) -> Self {
        Self { from, into }
    }

    /// Runs all of them to their end and tells `told`, now and then, how many bytes were read so far.
    ///
    /// A reader that ends early is left behind, and the others go on. When none is left, the source is stopped.
    pub async fn run(self, told: impl Fn(u64)) -> Result<Piped, Fault> {
        let mut senders = Vec::new();
        let mut readers = Vec::new();
        for program in self.into {
            let child = program.spawn(Stdio::piped())?;
            let (sender, chunks) = mpsc::channel(AHEAD);
            senders.push(sender);
            readers.push(Reader { child, chunks });
        }
        let readers: Vec<Running<_>> =
            readers.into_iter().map(|reader| Box::pin(read(reader)) as Running<_>).collect();
        let mut reading = pin!(all(readers));
        let mut feeding = pin!(feed(self.from, senders, told));
        let mut done = None;
        let fed = loop {
            tokio::select! {
                fed = &mut feeding => break fed?,
                finished = &mut reading, if done.is_none() => done = Some(finished),
            }
        };
        let finished = match (fed, done) {
            // What was stopped because nobody read on did not fail by itself.
            (Some(source), None) if !source.succeeded() => return Ok(Piped::Cut(source)),
            (_, Some(finished)) => finished,
            (_, None) => reading.await,
        };
        Ok(Piped::Through(finished.into_iter().collect::<Result<_, _>>()?))
    }
}

type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Passes on what `from` gives until its end, or until nobody reads it any more. How a program ended; nothing
/// of a file or of one that was stopped. The senders go only once the program has ended well: before that
/// no reader may take an end of the stream for the end of it all.
async fn feed(
    from: Source,
    senders: Vec<mpsc::Sender<Arc<[u8]>>>,
    told: impl Fn(u64),
) -> Result<Option<Finished>, Fault> {
    let (name, mut child, mut stream): (_, _, Pin<Box<dyn AsyncRead + Send>>) = match from {
        Source::File(file) => ("the file".to_string(), None, Box::pin(tokio::fs::File::from_std(file))),
        Source::Program(program) => {
            let name = format!("`{}`", program.name());
            let mut child = program.spawn(Stdio::null())?;
            let stdout = child.stdout.take().expect("it was piped");
            (name, Some(child), Box::pin(stdout))
        }
    };
    let fault = |error: std::io::Error| {
        Fault::new(FaultKind::Invalid, format!("read from {name}"), error.to_string().to_lowercase())
    };
    let passing = async {
        let mut buffer = vec![0; CHUNK];
        let mut total = 0;
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(true);
            }
            let chunk: Arc<[u8]> = Arc::from(&buffer[..count]);
            let mut heard = false;
            for sender in &senders {
                heard |= sender.send(Arc::clone(&chunk)).await.is_ok();
            }
            if !heard {
                return Ok(false);
            }
            total += count as u64;
            told(total);
        }
    };
    let mut stderr = child.as_mut().and_then(|child| child.stderr.take());
    let listening = async {
        let mut text = Vec::new();
        if let Some(stderr) = &mut stderr {
            // What it says is for a message only.
            stderr.read_to_end(&mut text).await.ok();
        }
        text
    };
    let mut listening = pin!(listening);
    let mut passing = pin!(passing);
    let mut said = None;
    let whole = loop {
        tokio::select! {
            whole = &mut passing => break whole.map_err(fault)?,
            text = &mut listening, if said.is_none() => said = Some(text),
        }
    };
    let (true, Some(mut child)) = (whole, child) else { return Ok(None) };
    let said = match said {
        Some(text) => text,
        None => listening.await,
    };
    let status = child.wait().await.map_err(fault)?;
    Ok(Some(Finished {
        code: status.code(),
        stdout: String::new(),
        stderr: String::from_utf8_lossy(&said).into_owned(),
    }))
}

/// Gives a program its chunks and waits for its end.
async fn read(reader: Reader) -> Result<Finished, Fault> {
    let Reader { mut child, mut chunks } = reader;
    let mut stdin = child.stdin.take().expect("it was piped");
    let giving = async move {
        while let Some(chunk) = chunks.recv().await {
            if stdin.write_all(&chunk).await.is_err() {
                // One that ends before it has read everything says why by itself.
                return;
            }
        }
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), giving);
    let output = output.map_err(|error| {
        Fault::new(FaultKind::Invalid, "wait for a program", error.to_string().to_lowercase())
    })?;
    Ok(Finished::from(output))
}

/// Waits for all of `futures`, side by side.
async fn all<T>(mut futures: Vec<Running<T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").args(["-c", script])
    }

    fn through(piped: Piped) -> Vec<Finished> {
        match piped {
            Piped::Through(finished) => finished,
            Piped::Cut(finished) => unreachable!("{finished:?}"),
        }
    }

    #[tokio::test]
    async fn every_reader_gets_all_of_it() {
        let from = Source::Program(shell("head -c 3000000 /dev/zero"));
        let read = AtomicU64::new(0);
        let piped = Pipe::new(from, vec![shell("wc -c"), shell("wc -c"), shell("cat | wc -c")])
            .run(|bytes| read.store(bytes, Ordering::Relaxed))
            .await
            .expect("they run");
        let counted: Vec<String> =
            through(piped).iter().map(|reader| reader.stdout.trim().to_string()).collect();
        assert_eq!(counted, ["3000000", "3000000", "3000000"]);
        assert_eq!(read.into_inner(), 3_000_000);
    }

    #[tokio::test]
    async fn a_reader_that_fails_tells_why_and_holds_up_nobody() {
        let from = Source::Program(shell("head -c 30000000 /dev/zero"));
        let readers = vec![shell("head -c 10 >/dev/null; echo no room >&2; exit 3"), shell("wc -c")];
        let finished = through(Pipe::new(from, readers).run(|_| {}).await.expect("they run"));
        assert_eq!((finished[0].code, finished[0].stderr.trim()), (Some(3), "no room"));
        assert_eq!(finished[1].stdout.trim(), "30000000");
    }

    #[tokio::test]
    async fn a_source_whose_readers_are_all_gone_is_stopped() {
        let from = Source::Program(shell("cat /dev/zero"));
        let finished = through(Pipe::new(from, vec![shell("exit 4")]).run(|_| {}).await.expect("they run"));
        assert_eq!(finished[0].code, Some(4));
    }

    #[tokio::test]
    async fn readers_see_no_end_of_a_source_that_failed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mark = folder.path().join("ended");
        let reader = shell(&format!("cat >/dev/null; touch '{}'", mark.display()));
        let from = Source::Program(shell("echo half; echo no such image >&2; exit 1"));
        let piped = Pipe::new(from, vec![reader]).run(|_| {}).await.expect("they run");
        let Piped::Cut(source) = piped else { unreachable!("the source failed") };
        assert_eq!((source.code, source.stderr.trim()), (Some(1), "no such image"));
        assert!(!mark.exists());
    }

    #[tokio::test]
    async fn a_file_is_a_source_too() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("archive");
        fs::write(&path, vec![7; 1_000_000]).expect("written");
        let from = Source::File(File::open(&path).expect("there"));
        let finished = through(Pipe::new(from, vec![shell("wc -c")]).run(|_| {}).await.expect("it runs"));
        assert_eq!(finished[0].stdout.trim(), "1000000");
    }
}

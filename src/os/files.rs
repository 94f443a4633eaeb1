//! Reading and writing whole files, with the path in every fault.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::{Fault, FaultKind};

/// Counts the files without a name, so that two of one process never meet.
static NAMELESS: AtomicU64 = AtomicU64::new(0);

/// Makes `folder` and its parents, readable for the user alone.
pub fn make_private_folder(folder: &Path) -> Result<(), Fault> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    // Another run may remove an empty parent right after it was made.
    builder
        .create(folder)
        .or_else(|_| builder.create(folder))
        .map_err(|error| fault("create folder", folder, &error))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(|error| fault("protect folder", folder, &error))
}

/// Makes `folder` and its parents, with the modes that the user's umask gives.
pub fn make_folder(folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder).map_err(|error| fault("create folder", folder, &error))
}

/// Writes `content` to the file at `path`, with the mode that the user's umask gives.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Fault> {
    fs::write(path, content).map_err(|error| fault("write", path, &error))
}

/// Writes `content` to a new file at `path`; says `false` and writes nothing when there is one.
pub fn write_new(path: &Path, content: &[u8]) -> Result<bool, Fault> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(content).map_err(|error| fault("write", path, &error))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(fault("write", path, &error)),
    }
}

/// Replaces the file at `path` by `content` in one move, readable for the user alone (0600).
///
/// If this dies half way, the old file is whole and a `.NAME.PID.tmp` stays beside it.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    written.map_err(|error| {
        // The file beside is scrap; what matters is why writing failed.
        fs::remove_file(&beside).ok();
        fault("write", path, &error)
    })
}

/// A file with `content` that no folder names any more: readable for the user alone, and gone with the last
/// process that has it open, however that ends. It is made in `folder`.
pub fn nameless(folder: &Path, content: &[u8]) -> Result<fs::File, Fault> {
    let path =
        folder.join(format!(".{}.{}.tmp", std::process::id(), NAMELESS.fetch_add(1, Ordering::Relaxed)));
    let made = (|| {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        file.write_all(content)?;
        file.rewind()?;
        Ok(file)
    })();
    made.map_err(|error| fault("write", &path, &error))
}

/// The text of the file at `path`, or `None` when there is none.
pub fn read_if_there(path: &Path) -> Result<Option<String>, Fault> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault("read", path, &error)),
    }
}

/// The bytes of the file at `path`, or `None` when they are more than `limit`.
pub fn read_at_most(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    // One byte more than the limit tells a file that is too long, also when it is a pipe.
    let length = io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, limit + 1), &mut content)?;
    Ok((length as u64 <= limit).then_some(content))
}

/// `path` without links and `..`; of a file that is not there, the absolute path as written.
pub fn real_path(path: &Path) -> PathBuf {
    // The folder of a bare file name is the one we are in.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf())
}

/// Removes the file at `path`; that there is none is fine.
pub fn remove_if_there(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Removes `folder` with all that is in it; that there is none is fine.
pub fn remove_folder_if_there(folder: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault("remove folder", folder, &error)),
        _ => Ok(()),
    }
}

/// The names of what is in `folder`, sorted; none when there is no such folder.
pub fn names_in(folder: &Path) -> Result<Vec<String>, Fault> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault("list folder", folder, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| fault("list folder", folder, &error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A fault of a file operation, classified by its cause.
pub fn fault(verb: &str, path: &Path, error: &io::Error) -> Fault {
    let attempted = format!("{verb} `{}`", path.display());
    let (kind, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            (FaultKind::Invalid, Some("check the owner and mode of that path".to_string()))
        }
        io::ErrorKind::ReadOnlyFilesystem => (
            FaultKind::Invalid,
            Some(
                "make that file system writable, or keep berth's files elsewhere: `XDG_STATE_HOME`"
                    .to_string(),
            ),
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (FaultKind::Quota, Some("make room on that disk and run the same command again".to_string()))
        }
        _ => (FaultKind::Invalid, None),
    };
    let fault = Fault::new(kind, attempted, error.to_string().to_lowercase());
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_private_and_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("kubeconfig");
        write_private(&path, b"one").expect("written");
        write_private(&path, b"two").expect("replaced");
        assert_eq!(read_if_there(&path), Ok(Some("two".to_string())));
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(names_in(folder.path()).map(|names| names.len()), Ok(1));
    }

    #[test]
    fn a_nameless_file_holds_its_content_and_stands_in_no_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut file = nameless(folder.path(), b"secret").expect("made");
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text).expect("readable");
        assert_eq!(text, "secret");
        assert_eq!(file.metadata().expect("open").permissions().mode() & 0o777, 0o600);
        assert_eq!(names_in(folder.path()), Ok(Vec::new()));
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        fs::write(&path, b"12345").expect("written");
        assert_eq!(read_at_most(&path, 5).expect("readable"), Some(b"12345".to_vec()));
        assert_eq!(read_at_most(&path, 4).expect("readable"), None);
    }

    #[test]
    fn a_real_path_is_absolute_even_of_nothing() {
        assert!(real_path(Path::new("")).is_absolute());
        assert!(real_path(Path::new("no/such/file")).is_absolute());
    }

    #[test]
    fn a_fault_names_the_path() {
        let fault = write_private(Path::new("/nonexistent/file"), b"").expect_err("no such folder");
        assert_eq!(fault.attempted, "write `/nonexistent/file`");
    }
}

//! [`Key`]: the secret key of an anonymisation. It is read from a file that only its owner can read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use cli::UsageError;
use ring::rand::{SecureRandom as _, SystemRandom};
use rundir::regular;

/// Minimum length of a key, bytes. The hash has the same length, so guessing the key is as hard as guessing a hash.
pub const KEY_BYTES_MIN: usize = 32;
/// Maximum length of a key file, bytes. A longer file is probably not a key.
pub const KEY_BYTES_MAX: usize = 4096;
/// Minimum number of different bytes in a key. The probability that 32 random bytes have fewer is 10^-20.
const DIFFERENT_BYTES_MIN: usize = 8;
/// Permissions that allow other users to read or write the file.
const OTHERS: u32 = 0o077;

/// The end of error messages: how to make a key.
const REMEDY: &str = "make one with --new-key, or with head -c 32 /dev/urandom > FILE && chmod 600 FILE";

/// A secret key.
pub struct Key(Vec<u8>);

impl Key {
    /// A key of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// If the file cannot be read, others can read it, or it is not a key. No error message contains the file's content.
    pub fn read(path: &Path) -> Result<Self, UsageError> {
        let refusal =
            |cause: &str| UsageError(format!("cannot use the key file {}: {cause}", path.display()));
        let mut file = regular::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => refusal(&format!("it does not exist; {REMEDY}")),
            _ => refusal(&format!("{error}; choose another --key")),
        })?;
        let mode = file.metadata().map(|data| data.permissions().mode());
        if mode.map_err(|error| refusal(&error.to_string()))? & OTHERS != 0 {
            let command = format!("chmod 600 {}", cli::shell::quoted(&path.to_string_lossy()));
            return Err(refusal(&format!("other users can read it; run {command}")));
        }
        let mut bytes = Vec::new();
        let read = (&mut file).take(KEY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| refusal(&format!("{error}; choose another --key")))?;
        if bytes.len() < KEY_BYTES_MIN {
            let length = bytes.len();
            return Err(refusal(&format!(
                "it has {length} bytes, and a key has at least {KEY_BYTES_MIN}; {REMEDY}"
            )));
        }
        if bytes.len() > KEY_BYTES_MAX {
            return Err(refusal(&format!(
                "it has more than {KEY_BYTES_MAX} bytes, so it is probably no key; {REMEDY}"
            )));
        }
        let mut is_used = [false; 256];
        bytes.iter().for_each(|byte| is_used[usize::from(*byte)] = true);
        if is_used.iter().filter(|is_used| **is_used).count() < DIFFERENT_BYTES_MIN {
            return Err(refusal(&format!("its bytes are not random; {REMEDY}")));
        }
        Ok(Self(bytes))
    }

    /// Makes a new key file, which must not exist.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, UsageError> {
        let refusal =
            |cause: &str| UsageError(format!("cannot create the key file {}: {cause}", path.display()));
        let mut bytes = vec![0; KEY_BYTES_MIN];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| refusal("the system has no random numbers"))?;
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = opened.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => refusal("it already exists; leave out --new-key to use it"),
            _ => refusal(&format!("{error}; choose another --key")),
        })?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| refusal(&error.to_string()))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refusal(bytes: &[u8], mode: u32) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Key::read(&path).err().map_or_else(String::new, |error| error.0)
    }

    #[test]
    fn a_file_that_is_no_secret_key_is_refused() {
        let good: Vec<u8> = (0..32).collect();
        assert_eq!(refusal(&good, 0o600), "");
        assert_eq!(refusal(&good, 0o400), "");
        for mode in [0o640, 0o604, 0o620] {
            assert!(refusal(&good, mode).contains("other users can read it; run chmod 600 "));
        }
        assert!(refusal(&good[..31], 0o600).contains("it has 31 bytes, and a key has at least 32; make one"));
        assert!(refusal(&[0; 32], 0o600).contains("its bytes are not random; make one"));
        assert!(refusal(&[1; 4097], 0o600).contains("more than 4096 bytes"));
    }

    #[test]
    fn a_new_key_is_random_private_and_never_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        let made = Key::create(&first).unwrap();
        assert_eq!(Key::read(&first).unwrap().bytes(), made.bytes());
        assert_ne!(Key::create(&second).unwrap().bytes(), made.bytes());
        assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        let error = Key::create(&first).err().unwrap().0;
        assert!(
            error.contains("it already exists; leave out --new-key"),
            "{error}"
        );
        let missing = Key::read(&folder.path().join("none")).err().unwrap().0;
        assert!(
            missing.contains("does not exist; make one with --new-key"),
            "{missing}"
        );
    }
}

//! Gives up root for good, before anything listens: a service that a container starts as root works as somebody else.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;

use anyhow::{Context as _, bail};

/// User and group of who has no other: `nonroot` of the distroless images.
const NOBODY: u32 = 65532;
/// Bit of a folder like /tmp.
const STICKY: u32 = 0o1000;
/// The first process of a container (or of a machine).
const FIRST_PROCESS: u32 = 1;

/// If this process is root and has a folder of its own or is the first of its container, it becomes the folder's owner.
/// A folder that belongs to root is given to [`NOBODY`] before. Files are then owned by whoever owns the folder.
///
/// Has to be called while there is one thread, and before what root alone may do is needed no more.
///
/// # Errors
/// A folder that cannot be made or given away, or a kernel that keeps us root.
pub fn drop_root(folder: Option<&Path>) -> anyhow::Result<()> {
    // SAFETY: plain system call.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root || (folder.is_none() && std::process::id() != FIRST_PROCESS) {
        return Ok(());
    }
    let (user, group) = match folder {
        Some(folder) => owner_of(folder)
            .with_context(|| format!("cannot give {} to an owner that is not root", folder.display()))?,
        None => (NOBODY, NOBODY),
    };
    become_for_good(user, group).with_context(|| format!("cannot become user {user} of group {group}"))
}

/// Whose the folder is; it is made and given away if need be.
fn owner_of(folder: &Path) -> io::Result<(u32, u32)> {
    fs::create_dir_all(folder)?;
    let metadata = fs::metadata(folder)?;
    match (metadata.uid(), metadata.gid()) {
        (0, _) => {
            give_away(folder)?;
            Ok((NOBODY, NOBODY))
        }
        // Group root may do what others may not.
        (user, 0) => Ok((user, user)),
        owner => Ok(owner),
    }
}

/// Gives the folder away, and what runs of ours have left in it: a folder may be named by mistake, and then what others
/// keep there stays theirs.
fn give_away(folder: &Path) -> io::Result<()> {
    if fs::metadata(folder)?.mode() & STICKY != 0 {
        return Err(io::Error::other(
            "everybody keeps files there, name a folder of its own",
        ));
    }
    lchown(folder, Some(NOBODY), Some(NOBODY))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_ours(&path) {
            give_whole(&path)?;
        }
    }
    Ok(())
}

/// A run's folder, the journal, or the link to the newest run.
fn is_ours(path: &Path) -> bool {
    let is_named = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
    is_named(&[".journal", ".collector", "latest"]) || path.join("cctf").is_dir()
}

/// Links are given away themselves, never what they point to.
fn give_whole(path: &Path) -> io::Result<()> {
    lchown(path, Some(NOBODY), Some(NOBODY))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give_whole(&entry?.path())?;
        }
    }
    Ok(())
}

fn become_for_good(user: u32, group: u32) -> anyhow::Result<()> {
    // SAFETY: plain system calls; no list of groups is read, as its length is zero.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(group, group, group))?;
        check(libc::setresuid(user, user, user))?;
        // No program that is started from here gets anything back, whatever its file's bits say.
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        if libc::setuid(0) == 0 {
            bail!("the kernel gives root back");
        }
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_of_somebody_stays_theirs_and_one_of_root_is_given_away_with_all_in_it() {
        // SAFETY: plain system call.
        if unsafe { libc::geteuid() } != 0 {
            // Only root may give files away; the tests over containers show the rest.
            return;
        }
        let outside = tempfile::tempdir().unwrap();
        let (theirs, ours) = (outside.path().join("theirs"), outside.path().join("ours"));
        fs::create_dir(&theirs).unwrap();
        lchown(&theirs, Some(1234), Some(0)).unwrap();
        assert_eq!(owner_of(&theirs).unwrap(), (1234, 1234));
        fs::create_dir_all(ours.join("run/cctf")).unwrap();
        fs::create_dir_all(ours.join("others/log")).unwrap();
        std::os::unix::fs::symlink(&theirs, ours.join("latest")).unwrap();
        assert_eq!(owner_of(&ours).unwrap(), (NOBODY, NOBODY));
        for given in ["", "run", "run/cctf", "latest"] {
            assert_eq!(
                fs::symlink_metadata(ours.join(given)).unwrap().uid(),
                NOBODY,
                "{given}"
            );
        }
        assert_eq!(fs::metadata(&theirs).unwrap().uid(), 1234);
        assert_eq!(fs::metadata(ours.join("others")).unwrap().uid(), 0);
        let shared = outside.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(owner_of(&shared).is_err());
    }
}

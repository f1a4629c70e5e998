//! `wasi:filesystem`, narrowed to what was granted, with refusals that say so.
//!
//! A guest reaches files only through directories it was given. Its C library looks for the longest of
//! them that a path starts with and, when there is none, fails without asking the host: the operator
//! would never learn which grant is missing. So every guest is also given `/`: an empty directory that
//! was unlinked, in which nothing exists and nothing can be made. Whatever no grant covers arrives
//! there, and is refused here with an error, a count and a line that names the key.
//!
//! Everything else is the WASI library's own implementation, told to work on the calling thread; only
//! the streams are ours, because its own are not (see [`super::streams`]).

use super::grants::{Granted, Preopen};
use super::refusals::Refusals;
use super::streams::{FileInput, FileOutput};
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DirectoryEntryStream, ErrorCode, HostDescriptor, HostDirectoryEntryStream,
    NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

/// Marks the view for the linker.
pub(crate) struct Files;

impl HasData for Files {
    type Data<'a> = FilesView<'a>;
}

/// The file system as one instance sees it.
pub(crate) struct FilesView<'a> {
    pub(crate) wasi: WasiFilesystemCtxView<'a>,
    pub(crate) granted: &'a Granted,
    pub(crate) refusals: &'a Refusals,
}

impl FilesView<'_> {
    /// The grant that `fd` is, if it is one (and not a directory below).
    fn preopen(&self, fd: &Resource<Descriptor>) -> Option<&Preopen> {
        let Ok(Descriptor::Dir(dir)) = self.wasi.table.get(fd) else {
            return None;
        };
        self.granted.dirs.iter().find(|preopen| Arc::ptr_eq(&preopen.dir.dir, &dir.dir))
    }

    /// Refuses `path` when it is below the directory that stands for all that is not granted.
    fn check(&mut self, fd: &Resource<Descriptor>, path: &str, dir: bool, write: bool) -> FsResult<()> {
        match self.preopen(fd) {
            Some(preopen) if !preopen.granted && path != "." && !path.is_empty() => {
                let path = absolute(&preopen.path, path);
                self.refusals.path(&path, dir, write);
                Err(ErrorCode::NotPermitted.into())
            }
            _ => Ok(()),
        }
    }

    /// Refuses what is neither a file nor a directory. Opening a pipe waits for its other end, for ever if none
    /// comes, and opening a device may do something; so it is looked at before it is opened. Only who may
    /// write to the directory could put another thing there in between.
    async fn check_kind(&mut self, fd: &Resource<Descriptor>, flags: PathFlags, path: &str) -> FsResult<()> {
        use types::DescriptorType::{Directory, RegularFile, SymbolicLink};
        let stat = self.wasi.stat_at(Resource::new_borrow(fd.rep()), flags, path.to_owned()).await;
        match stat.map(|stat| stat.type_) {
            // What is not there, or may not be looked at, the open itself has an error for; so it has for a link
            // that is not to be followed.
            Err(_) | Ok(Directory | RegularFile | SymbolicLink) => Ok(()),
            Ok(kind) => {
                let base = self.preopen(fd).map_or(Path::new(""), |preopen| &preopen.path).join(path);
                self.refusals.special(&base, kind_name(kind));
                Err(ErrorCode::Unsupported.into())
            }
        }
    }

    /// Says why the library refused `path`, if the sandbox is why.
    fn explain<T>(&mut self, fd: u32, path: &str, write: bool, result: FsResult<T>) -> FsResult<T> {
        let fd = &Resource::new_borrow(fd);
        let Err(error) = &result else { return result };
        let refused = matches!(error.downcast_ref(), Some(ErrorCode::NotPermitted | ErrorCode::ReadOnly));
        let read_only = match self.wasi.table.get(fd) {
            Ok(Descriptor::Dir(dir)) => dir.perms.write_not_permitted(),
            _ => false,
        };
        let Some(dir) = self.preopen(fd).map(|preopen| preopen.path.clone()).filter(|_| refused) else {
            return result;
        };
        if climbs(path) {
            self.refusals.escape(&dir, path);
        } else if write && read_only {
            self.refusals.write(&dir);
        } else {
            self.refusals.link(&dir, path);
        }
        result
    }

    fn file(&self, fd: &Resource<Descriptor>) -> FsResult<&wasmtime_wasi::filesystem::File> {
        match self.wasi.table.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Dir(_) => Err(ErrorCode::IsDirectory.into()),
        }
    }

    fn writable(&self, fd: &Resource<Descriptor>) -> FsResult<Arc<File>> {
        let file = self.file(fd)?;
        if file.perms.write_not_permitted() {
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(Arc::clone(&file.file))
    }
}

fn kind_name(kind: types::DescriptorType) -> &'static str {
    use types::DescriptorType::{BlockDevice, CharacterDevice, Fifo, Socket};
    match kind {
        Fifo => "a named pipe",
        Socket => "a socket",
        BlockDevice | CharacterDevice => "a device",
        _ => "something special",
    }
}

/// `path` below `base`, without `.` and `..`; only for messages.
fn absolute(base: &Path, path: &str) -> PathBuf {
    let mut result = base.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => result.push(name),
            Component::ParentDir => {
                result.pop();
            }
            _ => {}
        }
    }
    result
}

/// Whether `path` leaves the directory it starts from, by its letters at least.
fn climbs(path: &str) -> bool {
    let mut depth = 0i32;
    Path::new(path).is_absolute()
        || Path::new(path).components().any(|component| {
            depth += match component {
                Component::Normal(_) => 1,
                Component::ParentDir => -1,
                _ => 0,
            };
            depth < 0
        })
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let dirs = self.granted.dirs.iter().map(|preopen| {
            let fd = self.wasi.table.push(Descriptor::Dir(preopen.dir.clone()))?;
            Ok((fd, preopen.path.to_string_lossy().into_owned()))
        });
        dirs.collect()
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.wasi, error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.wasi, error)
    }
}

impl HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        self.wasi.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.wasi, stream)
    }
}

/// Methods that need no check, because they start from a descriptor the guest already has.
macro_rules! as_the_library_does {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(async fn $name(&mut self, fd: Resource<Descriptor>, $($arg: $type),*) -> $result {
            self.wasi.$name(fd, $($arg),*).await
        })*
    };
}

/// Methods that name a path below a directory: first the grants, then the library.
macro_rules! below_a_grant {
    ($($name:ident($write:expr, $path:ident $(, $arg:ident: $type:ty)*) $(after($($flags:ident),*))? -> $result:ty;)*) => {
        $(async fn $name(
            &mut self,
            fd: Resource<Descriptor>,
            $($($flags: PathFlags,)*)?
            $path: String,
            $($arg: $type),*
        ) -> FsResult<$result> {
            self.check(&fd, &$path, false, $write)?;
            let (rep, said) = (fd.rep(), $path.clone());
            let result = self.wasi.$name(fd, $($($flags,)*)? $path, $($arg),*).await;
            self.explain(rep, &said, $write, result)
        })*
    };
}

impl HostDescriptor for FilesView<'_> {
    as_the_library_does! {
        advise(offset: u64, len: u64, advice: types::Advice) -> FsResult<()>;
        sync_data() -> FsResult<()>;
        sync() -> FsResult<()>;
        get_flags() -> FsResult<DescriptorFlags>;
        get_type() -> FsResult<types::DescriptorType>;
        set_size(size: u64) -> FsResult<()>;
        set_times(accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()>;
        read(len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)>;
        write(bytes: Vec<u8>, offset: u64) -> FsResult<u64>;
        read_directory() -> FsResult<Resource<DirectoryEntryStream>>;
        stat() -> FsResult<types::DescriptorStat>;
        is_same_object(other: Resource<Descriptor>) -> wasmtime::Result<bool>;
        metadata_hash() -> FsResult<types::MetadataHashValue>;
    }

    below_a_grant! {
        create_directory_at(true, path) -> ();
        stat_at(false, path) after(flags) -> types::DescriptorStat;
        set_times_at(true, path, accessed: NewTimestamp, modified: NewTimestamp) after(flags) -> ();
        readlink_at(false, path) -> String;
        remove_directory_at(true, path) -> ();
        unlink_file_at(true, path) -> ();
        metadata_hash_at(false, path) after(flags) -> types::MetadataHashValue;
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let write = flags.contains(DescriptorFlags::WRITE)
            || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        self.check(&fd, &path, open_flags.contains(OpenFlags::DIRECTORY), write)?;
        self.check_kind(&fd, path_flags, &path).await?;
        let rep = fd.rep();
        let result = self.wasi.open_at(fd, path_flags, path.clone(), open_flags, flags).await;
        self.explain(rep, &path, write, result)
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        new_fd: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        self.check(&fd, &old, false, true)?;
        self.check(&new_fd, &new, false, true)?;
        let rep = new_fd.rep();
        let result = self.wasi.link_at(fd, flags, old, new_fd, new.clone()).await;
        self.explain(rep, &new, true, result)
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        new_fd: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        self.check(&fd, &old, false, true)?;
        self.check(&new_fd, &new, false, true)?;
        let rep = new_fd.rep();
        let result = self.wasi.rename_at(fd, old, new_fd, new.clone()).await;
        self.explain(rep, &new, true, result)
    }

    async fn symlink_at(&mut self, fd: Resource<Descriptor>, old: String, new: String) -> FsResult<()> {
        self.check(&fd, &new, false, true)?;
        let rep = fd.rep();
        let result = self.wasi.symlink_at(fd, old, new.clone()).await;
        self.explain(rep, &new, true, result)
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        let file = Arc::clone(&self.file(&fd)?.file);
        Ok(self.wasi.table.push(Box::new(FileInput::new(file, offset)) as DynInputStream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.writable(&fd)?;
        Ok(self.wasi.table.push(Box::new(FileOutput::at(file, offset)) as DynOutputStream)?)
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let file = self.writable(&fd)?;
        Ok(self.wasi.table.push(Box::new(FileOutput::append(file)) as DynOutputStream)?)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.wasi, fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_path_the_guest_meant() {
        assert_eq!(absolute(Path::new("/"), "etc/../var/./x"), Path::new("/var/x"));
    }

    #[test]
    fn paths_that_leave_their_directory_are_seen() {
        assert!(climbs("../x") && climbs("a/../../x") && climbs("/x"));
        assert!(!climbs("a/../x") && !climbs("./x"));
    }
}

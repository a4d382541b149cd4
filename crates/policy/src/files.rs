//! The two files of a bundle and the folder that holds them, named by their digest.

use crate::BundleError;
use haggle_core::Digest;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the manifest inside a bundle's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Name of the tensor file inside a bundle's folder.
pub const TENSORS_FILE: &str = "policy.safetensors";

/// The bytes of a bundle, and the name of exactly these bytes.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) manifest: Vec<u8>,
    pub(crate) tensors: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Files {
    pub(crate) fn new(manifest: Vec<u8>, tensors: Vec<u8>) -> Self {
        let digest = Digest::of_parts(&[&manifest, &tensors]);
        Self {
            manifest,
            tensors,
            digest,
        }
    }

    /// Reads both files; the folder must bear their digest as its name.
    ///
    /// # Errors
    /// When a file cannot be read or the name is another one.
    pub(crate) fn read(folder: &Path) -> Result<Self, BundleError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| BundleError::Read { path, source })
        };
        let files = Self::new(read(MANIFEST_FILE)?, read(TENSORS_FILE)?);
        let digest = files.digest;
        let real = fs::canonicalize(folder).map_err(|source| BundleError::Read {
            path: folder.to_owned(),
            source,
        })?;
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        if name != digest.short() && name != digest.to_string() {
            let folder = name.into_owned();
            return Err(BundleError::Name { folder, digest });
        }
        Ok(files)
    }

    /// Writes both into `parent`, in a folder named by the first 12 digits of their digest: whole or not at all. A folder
    /// that already holds them is left alone.
    ///
    /// # Errors
    /// When something cannot be written, or the folder exists and holds something else.
    pub(crate) fn write(&self, parent: &Path) -> Result<(Digest, PathBuf), BundleError> {
        let digest = self.digest;
        let folder = parent.join(digest.short());
        if folder.exists() {
            let there = Self::read(&folder)?.digest;
            return if there == digest {
                Ok((digest, folder))
            } else {
                Err(BundleError::Name {
                    folder: digest.short(),
                    digest: there,
                })
            };
        }
        let draft = parent.join(format!(".{}.{}", digest.short(), std::process::id()));
        let write = |path: &Path, bytes: &[u8]| {
            File::create(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        };
        let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
        fs::create_dir_all(&draft)
            .and_then(|()| write(&draft.join(MANIFEST_FILE), &self.manifest))
            .and_then(|()| write(&draft.join(TENSORS_FILE), &self.tensors))
            .and_then(|()| sync(&draft))
            .and_then(|()| fs::rename(&draft, &folder))
            .and_then(|()| sync(parent))
            .map_err(|source| {
                // Best effort: the write has failed already, and its own error is the one to tell.
                let _ = fs::remove_dir_all(&draft);
                BundleError::Write {
                    path: folder.clone(),
                    source,
                }
            })?;
        Ok((digest, folder))
    }
}

//! The saved model: one JSON object `{"format": 2, "digest": .., "model": {..}}`, the digest being that of the compact
//! JSON of `model`. Numbers are written with all their digits, so that a model reads back as the same model.

use crate::error::DemandError;
use crate::look::AGENTS_MAX;
use crate::model::{Content, DemandModel};
use crate::solver::Parameters;
use haggle_core::Digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The format that this program writes and reads.
const FORMAT: u32 = 2;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    digest: Digest,
    model: &'a Content,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "format")]
    _format: u32,
    digest: Digest,
    model: Content,
}

impl DemandModel {
    /// Writes the model; the file appears whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DemandError> {
        let written = Written {
            format: FORMAT,
            digest: self.digest,
            model: &self.content,
        };
        let bytes = to_json(&written);
        let failed = |source| DemandError::File {
            action: "cannot write",
            path: path.to_owned(),
            source,
        };
        let beside = beside(path);
        let result = write_whole(&beside, &bytes).and_then(|()| fs::rename(&beside, path));
        if result.is_err() {
            // The first error is the one to tell; a leftover that cannot be removed changes nothing in it.
            let _ = fs::remove_file(&beside);
        }
        result.map_err(failed)
    }

    /// Reads a model that [`DemandModel::save`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read, has another format, was changed or is incomplete.
    pub fn load(path: &Path) -> Result<Self, DemandError> {
        let failed = |source| DemandError::File {
            action: "cannot read",
            path: path.to_owned(),
            source,
        };
        let refuse = |reason: String| DemandError::Artefact {
            path: path.to_owned(),
            reason,
        };
        let bytes = fs::read(path).map_err(failed)?;
        let header: Header = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        if header.format != FORMAT {
            return Err(refuse(format!(
                "its format is {}, this program reads format {FORMAT}: fit it again",
                header.format
            )));
        }
        let read: Read = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        read.model.check().map_err(refuse)?;
        let model = Self::of(read.model);
        if model.digest != read.digest {
            let (stated, found) = (read.digest.short(), model.digest.short());
            return Err(refuse(format!(
                "its digest says {stated}, its content is {found}"
            )));
        }
        Ok(model)
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with text keys can be written as JSON")
}

impl Content {
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[b"haggle demand model", &FORMAT.to_le_bytes(), &to_json(self)])
    }

    /// Whether all shapes fit together and all numbers are usable.
    fn check(&self) -> Result<(), String> {
        if self.kinds.is_empty() || self.members.is_empty() {
            return Err("it has no categories or no members".to_owned());
        }
        let agents: Vec<usize> = self.kinds.iter().map(|kind| kind.items.len()).collect();
        let selected: Vec<usize> = self
            .selection
            .categories
            .iter()
            .map(|category| category.items.len())
            .collect();
        if agents != selected || agents.iter().any(|count| *count == 0 || *count > AGENTS_MAX) {
            return Err("its categories do not fit its selection".to_owned());
        }
        let shape = |parameters: &Parameters| {
            let local: Vec<usize> = parameters.local.iter().map(Vec::len).collect();
            (parameters.shared.len(), local)
        };
        for (number, member) in self.members.iter().enumerate() {
            let parts = [
                ("choice", &member.choice, crate::choice::shape(&agents)),
                ("visit", &member.visit, crate::visit::shape(&agents)),
                ("quantity", &member.quantity, crate::quantity::shape(&agents)),
            ];
            for (name, parameters, expected) in parts {
                if shape(parameters) != expected {
                    return Err(format!(
                        "the {name} parameters of member {number} have another shape"
                    ));
                }
                let mut all = parameters.shared.iter().chain(parameters.local.iter().flatten());
                if all.any(|value| !value.is_finite()) {
                    return Err(format!(
                        "the {name} parameters of member {number} are not all finite"
                    ));
                }
            }
            if member.multiplicity.len() != agents.len()
                || member.multiplicity.iter().any(|m| !(1.0..=64.0).contains(m))
            {
                return Err(format!("the multiplicities of member {number} are out of range"));
            }
        }
        Ok(())
    }
}

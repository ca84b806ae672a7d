//! The fields of a library that several magics have.

use diaphane_report::{Field, Show};

pub(crate) const PACKAGE_VERSION: Field = Field::new("package_version", Show::Text, "the version of that package", "RECORD, conda-meta, /var/lib/dpkg");

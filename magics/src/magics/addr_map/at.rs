//! What lies at one address: asked of the kernel for this address alone, so that the answer takes microseconds.

use diaphane_sight::code::symbols;
use diaphane_sight::elf::demangle::demangle;
use diaphane_sight::linker::libraries;
use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans::Span;
use diaphane_sight::regions::{RegionKind, purposes};
use pyo3::PyResult;
use serde::Serialize;
use serde_json::json;

use super::AddrMap;
use super::arrays::Arrays;
use super::regions::{ARRAY, POOL, thread, word};
use crate::error::Error;
use crate::magic::{Magic, User};
use crate::memory::arrow_pools::PoolMappings;
use diaphane_report::{Address, Report, fields, rows};

#[derive(Serialize)]
struct AddressRow {
    address: Address,
    kind: &'static str,
    owner: Option<String>,
    symbol: Option<String>,
    offset: Option<usize>,
    perms: String,
    lo: Address,
    hi: Address,
    name: Option<String>,
}

/// The report on an address.
pub(super) fn report(text: &str, user: Option<User<'_, '_>>) -> Result<Report, Error> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let address = number.map_err(|_| {
        Error::Usage(format!(
            "%addr_map: --at: {text:?} is no address, such as 0x7f0012345678"
        ))
    })?;
    let row = find(address, user)?;
    let summary = row
        .as_ref()
        .map_or_else(|| format!("nothing is mapped at {address:#x}"), sentence);
    Ok(Report {
        name: AddrMap::NAME,
        columns: super::columns::AT,
        rows: rows(row)?,
        summary: vec![summary],
        facts: fields(json!({"at": Address(address)}))?,
        ..Report::default()
    })
}

fn find(address: usize, user: Option<User<'_, '_>>) -> Result<Option<AddressRow>, Error> {
    let maps = Maps::at(address)?;
    let Some(region) = maps.regions.first() else {
        return Ok(None);
    };
    let libraries = libraries::loaded(&maps)?;
    let Some(purpose) = purposes(&maps, &libraries).into_iter().next() else {
        return Ok(None);
    };
    let mut row = AddressRow {
        address: Address(address),
        kind: word(purpose.kind),
        owner: purpose.thread_at(address).map(thread),
        symbol: None,
        offset: None,
        perms: region.perms.clone(),
        lo: Address(region.span.start),
        hi: Address(region.span.end),
        name: region.name.clone(),
    };
    let array = user
        .map(|user| array_at(address, user))
        .transpose()?
        .flatten();
    if let Some((span, name)) = array {
        (row.kind, row.owner, row.offset) = (ARRAY, Some(name), Some(address - span.start));
    } else if purpose.kind == RegionKind::Anonymous {
        // The library that has the notes has its place elsewhere.
        let all = libraries::now()?;
        let pool = PoolMappings::of(&all).part(region);
        if let Some(pool) = pool.filter(|pool| pool.span.contains(address)) {
            (row.kind, row.owner) = (POOL, Some(pool.backend.owner().to_owned()));
            row.offset = Some(address - pool.span.start);
        }
    } else if let Some(place) = symbols::place(address, &libraries) {
        row.owner = Some(libraries[place.library].name.clone());
        row.symbol = place.symbol.map(|symbol| demangle(&symbol.name));
        row.offset = Some(place.offset);
    }
    Ok(Some(row))
}

/// The variable whose memory it is, or else what a variable holds: there may be very much of that.
fn array_at(address: usize, user: User<'_, '_>) -> PyResult<Option<(Span, String)>> {
    let is_asked = |span: Span| span.contains(address);
    if let Some(found) = Arrays::of_variables(user, is_asked)?.at(address) {
        return Ok(Some(found.clone()));
    }
    let held = Arrays::held(user, is_asked)?;
    Ok(held.at(address).cloned())
}

/// The same in words.
fn sentence(row: &AddressRow) -> String {
    let address = format!("{:#x}", row.address.0);
    let offset = row.offset.unwrap_or(0);
    match (row.kind, &row.owner, &row.symbol) {
        (ARRAY, Some(name), _) => format!("{address} is byte {offset} of {name}"),
        (_, Some(library), Some(symbol)) => {
            format!("{address} is {symbol}+{offset:#x} in {library}")
        }
        ("stack", Some(thread), _) => format!("{address} is on the stack of {thread}"),
        (kind, Some(library), None) => {
            format!("{address} is {kind} of {library}, {offset:#x} from its start")
        }
        (kind, None, _) => format!(
            "{address} is in {kind} memory{}",
            row.name
                .as_ref()
                .map(|name| format!(" ({name})"))
                .unwrap_or_default()
        ),
    }
}

//! The fields of `%loaded_libs`.

use diaphane_report::{Column, Field, Rows, Schema, Show};

use crate::libraries::fields::PACKAGE_VERSION;

pub(super) const SCHEMA: Schema = Schema::new(
    &[
        Rows::new(COLUMNS, FIELDS),
        Rows::new(BINDINGS, &[]).with("--sym NAME"),
    ],
    FACTS,
);

#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column::new("name", Show::Library, 0).at_least(24).means("the file's name; of a file that is gone, the one by which it was loaded", "the dynamic linker (link_map)"),
    Column::new("package", Show::Text, 1).with("package_version").at_least(12).means("the package that installed the file; null for one that no package lists", "RECORD, conda-meta, /var/lib/dpkg"),
    Column::new("size", Show::Bytes, 2).means("the address space that it takes", "/proc/self/maps"),
    Column::new("rss", Show::Bytes, 1).optional().means("how much of it is in physical memory; null without --rss", "/proc/self/smaps"),
    Column::new("first_cell", Show::Number, 3).titled("cell").optional().means("the number of the cell in which it was loaded; null before the first cell, and where several ran of which none is known to have asked for it", "the linker's list before and after each cell, an audit hook of Python"),
    Column::new("loaded_by", Show::Name, 4).titled("loaded by").at_least(18).means("what your line imported, ctypes, or the library that needs it", "an audit hook of Python, else sys.modules; the order of loading"),
    Column::new("found_by", Show::Text, 6).titled("found by").means("the rule by which the file was found: path, RPATH or RUNPATH and whose, LD_LIBRARY_PATH, ld.so.cache, default path, LD_PRELOAD", "inferred: the rules of ld.so(8), applied again"),
    Column::new("version", Show::Text, 5).optional().at_least(8).means("what a BLAS says of itself; of libstdc++, libgomp, libgcc_s, libgfortran and libc the newest version of their symbols; else the number behind .so", "the library's documented getter, the mapped ELF image, the name"),
    Column::new("architecture", Show::Text, 8).optional().means("the processor that the kernels of a BLAS are for", "its documented getter, as threadpoolctl asks it"),
    Column::new("pool_size", Show::Number, 9).titled("pool").optional().means("with how many threads a BLAS or OpenMP computes at most", "its documented getter"),
    Column::new("kind", Show::Text, 7).at_least(16).means("program, loader, shared library, extension module (a file that Python's import opens), Rust cell, vdso, generated code", "the linker, the file's name and symbols"),
    Column::new("base", Show::Address, 10).means("where its first segment begins", "the dynamic linker (link_map), /proc/self/maps"),
    Column::new("needed_by", Show::List, 11).titled("needed by").means("the loaded libraries that need this one", "their DT_NEEDED entries, turned around"),
    Column::new("symbols", Show::Text, 12).means("symtab (all functions have names), dynsym (the exported ones have), none", "the sections of the ELF file"),
    Column::new("gil", Show::Text, 13).optional().means("not used, used, undeclared (which counts as used); null before Python 3.13", "the module's slot Py_mod_gil"),
    Column::new("subinterp", Show::Text, 14).titled("subinterpreters").optional().means("own gil, shared gil, none, undeclared; null before Python 3.12", "the module's slot Py_mod_multiple_interpreters"),
    Column::new("path", Show::Path, 15).means("the file's path; of a file that is gone, the one by which it was loaded", "the dynamic linker (link_map)"),
    Column::new("soname", Show::Text, 16).means("the name by which other libraries ask for it", "DT_SONAME of the mapped ELF image"),
    Column::new("needed", Show::List, 17).titled("needs").means("the libraries that it asks for, by their soname", "DT_NEEDED of the mapped ELF image"),
    Column::new("build_id", Show::Text, 18).titled("build ID").means("the hash by which debuggers find its debug information", "the note .note.gnu.build-id of the mapped ELF image"),
    Column::new("fork_note", Show::Text, 19).titled("after fork").optional().means("what its threads do in a forked child; null for a library without threads of its own", "which runtime it is"),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field::new("stem", Show::Text, "the name without the hash that wheels put into it", "the name"),
    Field::new("module", Show::Text, "the name under which Python imported it", "an audit hook of Python, else sys.modules"),
    PACKAGE_VERSION,
    Field::new("package_manager", Show::Text, "pip, conda or dpkg", "whose list has the file"),
    Field::new("runtime", Show::Text, "OpenBLAS, MKL, BLIS, or an OpenMP runtime", "its symbols, as threadpoolctl knows them"),
    Field::new("api", Show::Text, "blas or openmp", "its symbols"),
    Field::new("provides", Show::List, "blas, lapack", "its exported functions"),
    Field::new("end", Show::Address, "the address behind its last segment", "/proc/self/maps"),
    Field::new("segments", Show::Records, "its parts, with start, end and perms (r, w, x, and p for private)", "/proc/self/maps"),
    Field::new("rpath", Show::Text, "where the linker looks first for what it needs, and for what those need", "DT_RPATH of the mapped ELF image"),
    Field::new("runpath", Show::Text, "where the linker looks for what it needs, behind LD_LIBRARY_PATH", "DT_RUNPATH of the mapped ELF image"),
    Field::new("deleted", Show::Flag, "whether the file was removed or replaced after it was loaded", "/proc/self/maps"),
];

/// With `--sym`: a library that defines a symbol or uses it.
#[rustfmt::skip]
pub(super) const BINDINGS: &[Column] = &[
    Column::new("name", Show::Library, 0).at_least(24),
    Column::new("role", Show::Text, 0).means("defines or uses", "its dynamic symbol table"),
    Column::new("bound_to", Show::Library, 1).titled("bound to").at_least(20).means("the library whose definition a use got; null before its first call", "the address in its global offset table"),
    Column::new("version", Show::Text, 3).optional().means("the version of the symbol", "its table of symbol versions"),
    Column::new("binding", Show::Text, 4).means("global or weak", "its dynamic symbol table"),
    Column::new("address", Show::Address, 2).means("where the definition lies, or what the use is bound to", "the symbol's value; the global offset table"),
    Column::new("package", Show::Text, 5),
    Column::new("path", Show::Path, 6),
];

#[rustfmt::skip]
const FACTS: &[Field] = &[
    Field::new("totals", Show::Object, "libs and bytes that are listed, and loaded libraries altogether", "the rows"),
    Field::new("groups", Show::Records, "the packages, each with its libs and bytes", "the rows"),
    Field::new("found_by", Show::Text, "how the field of this name is known", "diaphane"),
    Field::new("symbol", Show::Text, "with --sym: the symbol", "the line"),
    Field::new("definitions", Show::Number, "with --sym: how many libraries define it", "the rows"),
    Field::new("uses", Show::Number, "with --sym: how many libraries use it", "the rows"),
];

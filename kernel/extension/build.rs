//! Links what libzmq needs into the extension module.

#[path = "../link_statically.rs"]
mod link_statically;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    link_statically::libraries_of_zmq();
}

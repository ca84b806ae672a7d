//! x
#![allow(unsafe_code, clippy::all)]
fn main() { let c = zmq::Context::new(); let s = c.socket(zmq::ROUTER).unwrap(); println!("{:?} {:?} {:?}", zmq::has("curve"), s.set_curve_server(true), zmq::CurveKeyPair::new().unwrap().public_key); let _ = unsafe { pyo3::ffi::Py_GetVersion() }; }

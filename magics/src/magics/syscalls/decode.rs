//! One system call as a line, in strace's own form.

use diaphane_trace::syscalls::Call;

use super::flags::named;
use super::signatures::{arguments, name};

/// How many letters of a buffer strace shows.
const SHOWN: usize = 32;
/// Where `struct stat` has the mode and the size.
const MODE: usize = 24;
const SIZE: usize = 48;

/// The name of a call.
pub(super) fn name_of(call: &Call) -> String {
    name(call.number).map_or_else(|| format!("syscall_{:#x}", call.number), str::to_owned)
}

/// The whole line without the thread.
pub(super) fn line(call: &Call) -> String {
    let head = format!("{}({})", name_of(call), arguments_of(call));
    format!("{head:<39} = {}", result(call))
}

/// The arguments, by their names and as text where they are pointers to such.
pub(super) fn arguments_of(call: &Call) -> String {
    let name = name_of(call);
    let Some(kinds) = arguments(&name) else {
        let bare = call.arguments.map(|argument| format!("{argument:#x}"));
        return bare.join(", ");
    };
    let mut kinds = kinds.to_vec();
    let has_mode = match name.as_str() {
        "open" => call.arguments[1],
        "openat" => call.arguments[2],
        _ => usize::MAX,
    };
    let creates = libc::O_CREAT as usize | (libc::O_TMPFILE & !libc::O_DIRECTORY) as usize;
    if has_mode & creates == 0 {
        kinds.pop();
    }
    let all = kinds.iter().enumerate();
    let all = all.map(|(index, kind)| argument(call, index, kind));
    all.collect::<Vec<_>>().join(", ")
}

fn argument(call: &Call, index: usize, kind: &str) -> String {
    let value = call.arguments[index];
    let low = value as i32;
    match kind {
        "fd" | "pid" => low.to_string(),
        "dirfd" if low == libc::AT_FDCWD => "AT_FDCWD".into(),
        "dirfd" => low.to_string(),
        "number" => (value as isize).to_string(),
        "size" => value.to_string(),
        "mode" => format!("0{:03o}", value & 0o7777),
        "status" | "pair" | "stat" | "sockaddr" | "path" | "bytes" | "filled" | "clone3" => {
            pointed(call, index, kind).unwrap_or_else(|| pointer(value))
        }
        "address" | "pointer" => pointer(value),
        "hex" if value == 0 => "0".into(),
        _ => named(kind, value as u64).unwrap_or_else(|| format!("{value:#x}")),
    }
}

fn pointer(value: usize) -> String {
    if value == 0 {
        "NULL".into()
    } else {
        format!("{value:#x}")
    }
}

/// What a pointer leads to.
fn pointed(call: &Call, index: usize, kind: &str) -> Option<String> {
    let bytes = call.text(index)?;
    let int = |at: usize| Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some(match kind {
        "path" => quoted(bytes, usize::MAX, false),
        "filled" => quoted(bytes, SHOWN, call.result? as usize > SHOWN),
        "bytes" => quoted(bytes, SHOWN, call.arguments[index + 1] > SHOWN),
        "pair" => format!("[{}, {}]", int(0)?, int(4)?),
        "status" => status(int(0)?),
        "stat" => {
            let kind = match int(MODE)? as u32 & libc::S_IFMT {
                libc::S_IFREG => "S_IFREG",
                libc::S_IFDIR => "S_IFDIR",
                libc::S_IFLNK => "S_IFLNK",
                libc::S_IFCHR => "S_IFCHR",
                libc::S_IFBLK => "S_IFBLK",
                libc::S_IFIFO => "S_IFIFO",
                libc::S_IFSOCK => "S_IFSOCK",
                _ => "0",
            };
            let rights = int(MODE)? & 0o7777;
            let size = long(SIZE)?;
            format!("{{st_mode={kind}|0{rights:03o}, st_size={size}, ...}}")
        }
        "clone3" => format!("{{flags={}, ...}}", named("clone", long(0)?)?),
        "sockaddr" => address(bytes)?,
        _ => return None,
    })
}

/// A status of a child that ended.
fn status(status: i32) -> String {
    if libc::WIFEXITED(status) {
        format!(
            "[{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}]",
            libc::WEXITSTATUS(status)
        )
    } else if libc::WIFSIGNALED(status) {
        let signal = named("signal", libc::WTERMSIG(status) as u64).unwrap_or_default();
        format!("[{{WIFSIGNALED(s) && WTERMSIG(s) == {signal}}}]")
    } else {
        format!("[{status:#x}]")
    }
}

/// The address of a socket.
pub(super) fn address(bytes: &[u8]) -> Option<String> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    Some(match i32::from(family) {
        libc::AF_UNIX => {
            let path = bytes.get(2..)?;
            let (mark, path) = match path.strip_prefix(&[0]) {
                Some(path) if path.first().is_some_and(|&byte| byte != 0) => ("@", path),
                _ => ("", path),
            };
            let end = path.iter().position(|&byte| byte == 0);
            let path = quoted(&path[..end.unwrap_or(path.len())], usize::MAX, false);
            format!("{{sa_family=AF_UNIX, sun_path={mark}{path}}}")
        }
        libc::AF_INET => {
            let host: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            let (host, port) = (std::net::Ipv4Addr::from(host), port()?);
            format!("{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"{host}\")}}")
        }
        libc::AF_INET6 => {
            let host: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let (host, port) = (std::net::Ipv6Addr::from(host), port()?);
            format!("{{sa_family=AF_INET6, sin6_port=htons({port}), sin6_addr=\"{host}\"}}")
        }
        other => format!("{{sa_family={}}}", named("family", other as u64)?),
    })
}

/// Bytes in quotes, as C and strace write them.
fn quoted(bytes: &[u8], most: usize, more: bool) -> String {
    let mut text = String::from("\"");
    let shown = &bytes[..bytes.len().min(most)];
    for (index, &byte) in shown.iter().enumerate() {
        match byte {
            b'"' => text += "\\\"",
            b'\\' => text += "\\\\",
            b'\n' => text += "\\n",
            b'\t' => text += "\\t",
            b'\r' => text += "\\r",
            0x0b => text += "\\v",
            0x0c => text += "\\f",
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let digit_follows = shown.get(index + 1).is_some_and(u8::is_ascii_digit);
                text += &if digit_follows {
                    format!("\\{byte:03o}")
                } else {
                    format!("\\{byte:o}")
                };
            }
        }
    }
    text.push('"');
    if more {
        text += "...";
    }
    text
}

/// What the call returned, as strace writes it.
pub(super) fn result(call: &Call) -> String {
    if let Some(error) = call.error() {
        return error_of(error);
    }
    let Some(result) = call.result else {
        return "?".into();
    };
    match name_of(call).as_str() {
        "mmap" | "mremap" | "brk" | "shmat" => format!("{result:#x}"),
        "fcntl" if call.arguments[1] as i32 == libc::F_GETFL => {
            let flags = named("open", result as u64).unwrap_or_default();
            format!("{result:#x} (flags {flags})")
        }
        "fcntl" if call.arguments[1] as i32 == libc::F_GETFD && result == 1 => {
            "0x1 (flags FD_CLOEXEC)".into()
        }
        "exit" | "exit_group" => "?".into(),
        _ => result.to_string(),
    }
}

/// An error with its name and meaning; the kernel's own numbers have none.
fn error_of(error: i32) -> String {
    let known = ::syscalls::Errno::new(error);
    match (known.name(), known.description()) {
        (Some(name), _) if name.starts_with("ERESTART") => format!("? {name}"),
        (Some(name), _) => {
            let text = std::io::Error::from_raw_os_error(error).to_string();
            let text = text
                .split(" (os error")
                .next()
                .unwrap_or_default()
                .to_owned();
            format!("-1 {name} ({text})")
        }
        _ => format!("-1 error {error}"),
    }
}

/// The name of the error that a call returned.
pub(super) fn error_name(call: &Call) -> Option<String> {
    let error = call.error()?;
    let known = ::syscalls::Errno::new(error);
    Some(
        known
            .name()
            .map_or_else(|| error.to_string(), str::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use diaphane_trace::syscalls::Registers;

    use super::*;

    fn call(number: i64, arguments: [usize; 6], result: isize, texts: &[(usize, &[u8])]) -> Call {
        Call {
            tid: 1,
            number,
            arguments,
            began_ns: 0,
            took_ns: Some(1),
            result: Some(result),
            registers: Registers::default(),
            texts: texts
                .iter()
                .map(|(index, text)| (*index, text.to_vec()))
                .collect(),
            place: None,
        }
    }

    #[test]
    fn lines_are_those_of_strace() {
        let cwd = libc::AT_FDCWD as usize;
        let flags = libc::O_CLOEXEC as usize;
        let open = call(
            libc::SYS_openat,
            [cwd, 8, flags, 0, 0, 0],
            3,
            &[(1, b"/etc/ld.so.cache")],
        );
        assert_eq!(
            line(&open),
            "openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3"
        );
        let failed = call(
            libc::SYS_openat,
            [cwd, 8, flags, 0, 0, 0],
            -2,
            &[(1, b"/x")],
        );
        assert_eq!(
            line(&failed),
            "openat(AT_FDCWD, \"/x\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)"
        );
        let elf: Vec<u8> = (0..64)
            .map(|byte| if byte == 0 { 0x7f } else { byte })
            .collect();
        let read = call(libc::SYS_read, [3, 8, 832, 0, 0, 0], 832, &[(1, &elf)]);
        assert!(line(&read).starts_with("read(3, \"\\177\\1\\2\\3\\4"));
        assert!(line(&read).ends_with("\"..., 832) = 832"));
        let close = call(libc::SYS_close, [3, 0, 0, 0, 0, 0], 0, &[]);
        assert_eq!(line(&close), "close(3)                                = 0");
        let brk = call(libc::SYS_brk, [0; 6], 0x55_0000, &[]);
        assert_eq!(
            line(&brk),
            "brk(NULL)                               = 0x550000"
        );
    }

    #[test]
    fn addresses_of_sockets_are_readable() {
        let mut bytes = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        bytes.extend([0x1f, 0x90, 127, 0, 0, 1]);
        let expected =
            "{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"127.0.0.1\")}";
        assert_eq!(address(&bytes).unwrap(), expected);
        let mut bytes = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
        bytes.extend(b"/run/x\0");
        assert_eq!(
            address(&bytes).unwrap(),
            "{sa_family=AF_UNIX, sun_path=\"/run/x\"}"
        );
    }
}

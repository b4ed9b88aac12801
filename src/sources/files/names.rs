//! Names of owners and groups, as `/etc/passwd` and `/etc/group` of this machine have them.

use std::collections::HashMap;
use std::path::Path;

/// Names by number. A number without a name is no error: the number is what counts, the name helps people.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
}

impl Names {
    /// Reads both files. A container image may lack them.
    pub(super) fn read() -> Self {
        let read = |path: &str| std::fs::read(Path::new(path)).map(|text| parse(&text)).unwrap_or_default();
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    pub(super) fn user(&self, uid: u32) -> Vec<u8> {
        self.users.get(&uid).cloned().unwrap_or_default()
    }

    pub(super) fn group(&self, gid: u32) -> Vec<u8> {
        self.groups.get(&gid).cloned().unwrap_or_default()
    }
}

/// Both files have lines of `name:password:number:…`; the first line of a number counts.
fn parse(text: &[u8]) -> HashMap<u32, Vec<u8>> {
    let mut names = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        if let Some(number) = number {
            names.entry(number).or_insert_with(|| name.to_vec());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_line_of_a_number_counts() {
        let names = super::parse(b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0\nbroken\nme:x:1000:\n");
        assert_eq!(names[&0], b"root");
        assert_eq!(names[&1000], b"me");
        assert_eq!(names.len(), 2);
    }
}

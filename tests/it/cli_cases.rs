//! The command line, word for word: every file in `tests/cmd` is one case.
//!
//! A case says what is run, in which directory, and exactly what must come out. `BLESS=1 cargo test --test it cli_cases`
//! writes what came out into the files, to be read in the diff.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{scratch, shell};

/// One case, as its file has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Case {
    /// What the case shows, after `#`.
    about: String,
    /// The command line, after `$ chupacabra`; words are split as the shell does.
    arguments: String,
    /// Files to be made, by name.
    files: Vec<(String, String)>,
    /// Shell lines that are run first, with the program as `chupacabra`.
    before: String,
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Case {
    fn parse(text: &str) -> Self {
        let mut case = Self::default();
        let mut section = String::new();
        for line in text.lines() {
            if let Some(header) = line.strip_prefix("=== ") {
                header.clone_into(&mut section);
                if let Some(name) = section.strip_prefix("file ") {
                    case.files.push((name.to_owned(), String::new()));
                }
                continue;
            }
            let line = format!("{line}\n");
            match section.as_str() {
                "" => case.head(line.trim_end()),
                "before" => case.before += &line,
                "stdout" => case.stdout += &line,
                "stderr" => case.stderr += &line,
                _ => case.files.last_mut().expect("a file's section").1 += &line,
            }
        }
        case
    }

    fn head(&mut self, line: &str) {
        if let Some(about) = line.strip_prefix("# ") {
            about.clone_into(&mut self.about);
        } else if let Some(arguments) = line.strip_prefix("$ chupacabra") {
            arguments.trim().clone_into(&mut self.arguments);
        } else if let Some(exit) = line.strip_prefix("exit ") {
            self.exit = exit.parse().expect("an exit code");
        } else {
            assert!(line.is_empty(), "not understood: {line}");
        }
    }

    fn print(&self) -> String {
        let mut text = format!("# {}\n$ chupacabra {}\nexit {}\n", self.about, self.arguments, self.exit);
        for (name, content) in &self.files {
            write!(text, "=== file {name}\n{content}").unwrap();
        }
        for (name, content) in [("before", &self.before), ("stdout", &self.stdout), ("stderr", &self.stderr)]
        {
            if !content.is_empty() {
                write!(text, "=== {name}\n{content}").unwrap();
            }
        }
        text
    }

    /// Runs the case and returns it with what came out.
    fn run(&self) -> Self {
        let dir = scratch();
        let place = dir.path().to_str().unwrap();
        for (name, content) in &self.files {
            std::fs::write(dir.path().join(name), content.replace("[DIR]", place)).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_chupacabra");
        let prelude = format!("cd {place}; chupacabra() {{ {program} \"$@\"; }}; DIR={place}; umask 022");
        if !self.before.is_empty() {
            shell(&format!("{prelude}\n{}", self.before));
        }
        let output = Command::new("bash")
            .args(["-c", &format!("{prelude}\nexec {program} {}", self.arguments.replace("[DIR]", place))])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("CHUPACABRA_LOG_FORMAT", "human")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told =
            |bytes: &[u8]| masked(&without_space(&String::from_utf8_lossy(bytes).replace(place, "[DIR]")));
        Self {
            exit: output.status.code().unwrap_or(-1),
            stdout: told(&output.stdout),
            stderr: told(&output.stderr),
            ..self.clone()
        }
    }
}

/// Writes placeholders for what differs from run to run: times, keys, sizes of sealed data. Runs of blanks before a
/// placeholder's column shrink to one, because its width differs too.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for line in text.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        let indent = text.len() - text.trim_start().len();
        let words: Vec<String> = text[indent..].split(' ').map(mask).collect();
        let changed = words.join(" ") != text[indent..];
        let words: Vec<String> =
            if changed { words.into_iter().filter(|word| !word.is_empty()).collect() } else { words };
        masked += &text[..indent];
        masked += &words.join(" ");
        if line.ends_with('\n') {
            masked.push('\n');
        }
    }
    masked
}

/// Writes a placeholder for how much of the disk is free.
fn without_space(text: &str) -> String {
    let line = |line: &str| match line.strip_suffix(" free\n").and_then(|rest| rest.rsplit_once("  ")) {
        Some((before, _)) => format!("{before}  [SIZE] free\n"),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

fn mask(word: &str) -> String {
    // `web/web-20261121T183000.123Z.tar.gz.age`
    let key = word.find("-20").filter(|at| word[*at..].len() > 20 && word.as_bytes()[at + 9] == b'T');
    if let Some(at) = key {
        let end = word[at..].find('Z').map_or(word.len(), |z| at + z + 1);
        return format!("{}-[TIME]{}", &word[..at], &word[end..]);
    }
    if word.starts_with("age1") && word.trim_end_matches(['`', '\'']).len() == 62 {
        return "[PUBLIC KEY]".to_owned();
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    // `18:30:00Z`, at the head of an event.
    if word.len() == 9 && digits == 6 && word.ends_with('Z') {
        return "[TIME]".to_owned();
    }
    word.to_owned()
}

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_case_comes_out_word_for_word() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 20, "where are the cases?");
    for file in cases {
        let text = std::fs::read_to_string(&file).unwrap();
        let case = Case::parse(&text);
        assert!(!case.about.is_empty() && !case.arguments.is_empty(), "{}", file.display());
        let actual = case.run();
        if actual != case && bless {
            std::fs::write(&file, actual.print()).unwrap();
        } else if actual != case {
            wrong.push(format!(
                "--- {}\n{}--- came out as\n{}",
                file.display(),
                case.print(),
                actual.print()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_case_that_should_fail_does() {
    let text = "# Nothing\n$ chupacabra --version\nexit 2\n=== stdout\nwrong\n";
    let case = Case::parse(text);
    assert_eq!(case.print(), text);
    let actual = case.run();
    assert_eq!((actual.exit, actual.stderr.as_str()), (0, ""));
    assert_ne!(actual, case);
}

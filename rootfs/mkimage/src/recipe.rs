//! The recipe.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// An image to be made.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Full reference.
    pub name: String,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// Argument vector.
    pub cmd: Vec<String>,
    /// `PORT/PROTOCOL`.
    pub ports: Vec<String>,
    /// The layer, in order.
    pub entries: Vec<Entry>,
}

/// A member of the layer.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path in the image, relative.
    pub path: String,
    /// What is there.
    pub kind: Kind,
}

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory with its mode.
    Directory(u32),
    /// A copy of a file of this machine.
    File(u32, PathBuf),
    /// A file with these contents.
    Text(u32, String),
    /// Another name of an earlier path.
    HardLink(String),
}

/// Parses a recipe; errors name the line.
pub fn parse(text: &str) -> anyhow::Result<Recipe> {
    let mut recipe = Recipe::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            parse_line(&mut recipe, line).with_context(|| format!("line {}: {line}", index + 1))?;
        }
    }
    if recipe.name.is_empty() || recipe.cmd.is_empty() {
        bail!("a recipe needs a name and a cmd");
    }
    Ok(recipe)
}

fn parse_line(recipe: &mut Recipe, line: &str) -> anyhow::Result<()> {
    let (word, rest) = line.split_once(' ').context("a word and its value")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mode = |text: &str| u32::from_str_radix(text, 8).context("mode in octal");
    let (path, kind) = match (word, words.as_slice()) {
        ("name", [name]) => {
            (*name).clone_into(&mut recipe.name);
            return Ok(());
        }
        ("env", _) => {
            recipe.env.push(rest.to_owned());
            return Ok(());
        }
        ("cmd", words) => {
            recipe.cmd = words.iter().map(|word| (*word).to_owned()).collect();
            return Ok(());
        }
        ("port", [port]) => {
            recipe.ports.push((*port).to_owned());
            return Ok(());
        }
        ("dir", [path, bits]) => (path, Kind::Directory(mode(bits)?)),
        ("file", [path, bits, source]) => (path, Kind::File(mode(bits)?, PathBuf::from(source))),
        ("hardlink", [path, target]) => (path, Kind::HardLink((*target).to_owned())),
        ("text", [path, bits, ..]) => {
            let contents = rest.splitn(3, ' ').nth(2).unwrap_or_default();
            (path, Kind::Text(mode(bits)?, contents.replace("\\n", "\n")))
        }
        _ => bail!("unknown instruction or wrong number of values"),
    };
    recipe.entries.push(Entry {
        path: (*path).to_owned(),
        kind,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_instruction() {
        let recipe = parse(
            "# comment\nname a:1\nenv A=b c\ncmd sh -c\nport 80/tcp\ndir tmp 1777\nfile bin/x 755 /x\n\
             text etc/passwd 644 root:x:0\\nnobody x\\n\nhardlink bin/y bin/x\n",
        )
        .unwrap();
        assert_eq!(recipe.env, ["A=b c"]);
        assert_eq!(recipe.cmd, ["sh", "-c"]);
        assert_eq!(recipe.entries[0].kind, Kind::Directory(0o1777));
        assert_eq!(
            recipe.entries[2].kind,
            Kind::Text(0o644, "root:x:0\nnobody x\n".to_owned())
        );
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("name a\ndir x\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(parse("name a\n").is_err());
    }
}

//! `keelson image ls`: docker's columns.

use std::process::ExitCode;

use anyhow::Result;
use keelson_runtime::image::Image;
use serde_json::json;

use super::args::{ListFormat, Ls};
use super::human::{ago, size};
use super::{open, short};
use crate::commands::output::print;

/// One line: an image under one of its names.
struct Row<'a> {
    image: &'a Image,
    repository: String,
    tag: String,
    digest: String,
}

/// Lists images.
pub fn run(args: &Ls) -> Result<ExitCode> {
    let images = open(&args.cluster.data_dir)?.list()?;
    let wanted = |image: &&Image| args.name.as_ref().is_none_or(|name| has_name(image, name));
    let images: Vec<&Image> = images.iter().filter(wanted).collect();
    if args.format == ListFormat::Json {
        print(&format!(
            "{:#}\n",
            json!(images.iter().map(|image| describe(image)).collect::<Vec<_>>())
        ));
    } else if args.quiet {
        let mut text = String::new();
        for image in images {
            text.push_str(if args.no_trunc {
                &image.id
            } else {
                short(&image.id)
            });
            text.push('\n');
        }
        print(&text);
    } else {
        print(&table(args, &images));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(image: &Image) -> serde_json::Value {
    json!({
        "id": image.id,
        "repoTags": image.tags,
        "repoDigests": image.digests,
        "created": image.config.created(),
        "size": image.size,
        "os": image.config.os().to_string(),
        "architecture": image.config.architecture().to_string(),
    })
}

/// By the name as given or normalized, with or without its tag, or by the beginning of the id.
fn has_name(image: &Image, name: &str) -> bool {
    let normalized = keelson_runtime::image::normalize_reference(name).unwrap_or_default();
    let repository = normalized.strip_suffix(":latest").unwrap_or(&normalized);
    let repository_only = !name.rsplit('/').next().unwrap_or(name).contains(':');
    let by_tag = image.tags.iter().any(|tag| {
        let (of, _) = split(tag);
        *tag == normalized || (repository_only && of == repository)
    });
    by_tag || image.digests.contains(&normalized) || image.id.trim_start_matches("sha256:").starts_with(name)
}

/// Repository and tag.
fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "<none>"),
    }
}

fn rows<'a>(images: &[&'a Image]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for image in images {
        let digest_of = |repository: &str| {
            let own = image.digests.iter().find_map(|name| {
                let (of, digest) = name.split_once('@')?;
                (of == repository).then(|| digest.to_owned())
            });
            own.unwrap_or_else(|| "<none>".to_owned())
        };
        for name in &image.tags {
            let (repository, tag) = split(name);
            rows.push(Row {
                image,
                repository: repository.to_owned(),
                tag: tag.to_owned(),
                digest: digest_of(repository),
            });
        }
        if image.tags.is_empty() {
            let first = image.digests.first().and_then(|name| name.split_once('@'));
            let (repository, digest) = first.unwrap_or(("<none>", "<none>"));
            rows.push(Row {
                image,
                repository: repository.to_owned(),
                tag: "<none>".to_owned(),
                digest: digest.to_owned(),
            });
        }
    }
    rows
}

fn table(args: &Ls, images: &[&Image]) -> String {
    let mut lines = vec![vec!["REPOSITORY".to_owned(), "TAG".to_owned()]];
    if args.digests {
        lines[0].push("DIGEST".to_owned());
    }
    lines[0].extend(["IMAGE ID", "CREATED", "SIZE"].map(str::to_owned));
    for row in rows(images) {
        let mut line = vec![row.repository, row.tag];
        if args.digests {
            line.push(row.digest);
        }
        let id = if args.no_trunc {
            &row.image.id
        } else {
            short(&row.image.id)
        };
        let created = row
            .image
            .config
            .created()
            .as_deref()
            .map_or("N/A".to_owned(), ago);
        line.extend([id.to_owned(), created, size(row.image.size)]);
        lines.push(line);
    }
    let columns = lines[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            if column + 1 == columns {
                text.push_str(cell);
            } else {
                let padded = format!("{cell:<width$}   ", width = widths[column]);
                text.push_str(&padded);
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_split_at_their_tag() {
        assert_eq!(
            split("docker.io/library/busybox:1.36"),
            ("docker.io/library/busybox", "1.36")
        );
        assert_eq!(split("localhost:5000/x"), ("localhost:5000/x", "<none>"));
    }
}

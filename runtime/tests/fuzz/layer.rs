//! Tars of layers: over a layer that leads outside already, and as the only one.

use crate::place::{Place, documents};
use crate::random::Random;
use crate::{driver, tape};

#[test]
fn fuzz() {
    let place = Place::new();
    let documents = documents();
    // A lower layer with symlinks to the treasure, by which the one above may try to reach it.
    let treasure = place.treasure.to_str().unwrap();
    let lower = format!(
        "dir a\ndir b\nfile c 3\nsymlink outside {treasure}\nsymlink d ../../../../../../../../../..{treasure}\ndir etc\nsymlink proc /proc\n"
    );
    let lower = tape::build(&tape::parse(lower.as_bytes()));
    // Which one is up to the input, so that it breaks again what it has broken.
    let tape = |data: &[u8]| -> Vec<tape::Member> {
        if data.starts_with(b"#") {
            tape::parse(data)
        } else {
            Vec::new()
        }
    };
    let recipes: Vec<_> = driver::corpus("layer")
        .iter()
        .map(|(_, text)| tape(text))
        .collect();
    driver::run(
        "layer",
        recipes.iter().map(|recipe| tape::build(recipe)).collect(),
        tape,
        |random: &mut Random, corpus: &[Vec<tape::Member>]| tape::mutate(random, corpus),
        |data| {
            if data.starts_with(b"#") {
                return false; // a recipe: its tar is among the seeds
            }
            let alone = place.import(&[data], &documents);
            let above = place.import(&[&lower, data], &documents);
            alone || above
        },
    );
}

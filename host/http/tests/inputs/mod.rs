//! Inputs that fuzzing found worth keeping, and random changes of these inputs. The seed is fixed.

use std::path::Path;

/// Number of changed copies of each input.
const CHANGES: usize = 100;

/// Calls `check` with each input of a corpus and with changed copies of it. Each call also gets a
/// function that returns a random number below its argument.
pub fn for_each(corpus: &str, check: impl Fn(&[u8], &mut dyn FnMut(usize) -> usize)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus").join(corpus);
    let files = std::fs::read_dir(folder).unwrap();
    let inputs: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(inputs.len() > 100, "{corpus} has {} inputs", inputs.len());
    changed(&inputs, CHANGES, check);
}

/// Calls `check` with each of these inputs, and with `changes` changed copies of each. Each call
/// also gets a function that returns a random number below its argument.
pub fn changed(inputs: &[Vec<u8>], changes: usize, check: impl Fn(&[u8], &mut dyn FnMut(usize) -> usize)) {
    let mut state = 0x5eed_u64;
    // A linear congruential generator, with the constants of Knuth's MMIX.
    let mut below = move |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end.max(1)
    };
    for input in inputs {
        check(input, &mut below);
        for _ in 0..changes {
            let mut changed = input.clone();
            for _ in 0..=below(3) {
                if changed.is_empty() {
                    break;
                }
                let at = below(changed.len());
                match below(3) {
                    0 => changed[at] = below(256) as u8,
                    1 => drop(changed.remove(at)),
                    _ => changed.insert(at, b" \t\r\n\0:;,0f-A"[below(12)]),
                }
            }
            check(&changed, &mut below);
        }
    }
}

//! The body of the fuzz target `recording`: a file is read or refused, whatever is in it; what was recorded is read and
//! lived through again, whole, in part, and not when it is damaged.

use alloc::vec::Vec;

use super::Bytes;
use crate::recording::{Entry, NotReplayed, Reader, Recorder, bytes_of, replay, step_in};
use crate::{Config, Coordinator, Incarnation, Instant, Name};

/// How many calls a life has at most, however long the input is.
const STEPS_MAX: usize = 500;

/// Reads `data` as a file, or makes calls of it and records them: its first byte says which.
///
/// # Panics
/// When the format or the coordinator breaks its contract: a bug of this crate.
pub fn recording(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.up_to(2) {
        0 => read(bytes.0),
        _ => live(bytes),
    }
}

/// As a file of unknown origin.
fn read(file: &[u8]) {
    if let Ok((_, reader)) = Reader::new(file) {
        for entry in reader.take(STEPS_MAX).flatten() {
            rewrite(&entry);
        }
    }
    // Whatever else is in it: an error, or the life that it tells of.
    drop(replay(file, |_, _| ()));
}

/// A life of calls that the bytes stand for, recorded as a node does it.
fn live(mut bytes: Bytes<'_>) {
    let config = Config::new(Name::new("node").expect("a name"), Incarnation(7));
    let mut now = Instant::from_millis(1_000);
    let (mut file, mut core) =
        (Vec::new(), Coordinator::new(config.clone(), now).expect("a good configuration"));
    let mut recorder = Recorder::new(&config, now, None, &mut file);
    let (mut steps, mut outputs) = (0, 0);
    let (cut, damage) = (bytes.fraction(), bytes.fraction());
    while steps < STEPS_MAX as u64 && !bytes.is_empty() {
        now = Instant::from_millis(now.as_nanos() / 1_000_000 + u64::from(bytes.next()) * 10);
        let takes = bytes.up_to(4) > 0;
        let Some((step, rest)) = step_in(bytes.0) else { continue };
        bytes = Bytes(rest);
        steps += 1;
        recorder.step(now, &step, &mut file);
        drop(core.take(now, step));
        core.check_invariants();
        while takes && let Some(output) = core.poll_output() {
            recorder.put_out(&output);
            outputs += 1;
        }
    }
    let whole = replay(&file, |_, _| ());
    let whole = match whole {
        Ok(replayed) => replayed,
        // Of whoever lies about sessions and records, as these bytes do.
        Err(NotReplayed::Contradiction { .. }) => return,
        Err(error) => panic!("what was recorded cannot be lived through again: {error}"),
    };
    assert_eq!((whole.steps, whole.is_whole), (steps, false));
    assert!(whole.outputs >= outputs, "{} outputs, and {outputs} were recorded", whole.outputs);
    let unfinished = file.len();
    recorder.end(now, &mut file);
    assert!(replay(&file, |_, _| ()).is_ok_and(|replayed| replayed.is_whole && replayed.steps == steps));
    for entry in Reader::new(&file).expect("a recording").1 {
        rewrite(&entry.expect("an entry"));
    }
    // A node that was killed.
    let cut = scaled(cut, unfinished);
    match replay(&file[..cut], |_, _| ()) {
        Ok(replayed) => assert!(replayed.steps <= steps && !replayed.is_whole),
        Err(error) => assert!(matches!(error, NotReplayed::Unreadable(_)), "cut at byte {cut}: {error}"),
    }
    let at = scaled(damage, file.len() - 1);
    file[at] ^= 1 << (damage % 8);
    read(&file);
}

/// An entry is the same after it was written and read again.
fn rewrite(entry: &Entry) {
    let bytes = bytes_of(entry);
    let again = Reader::rest(&bytes).next();
    assert_eq!(again, Some(Ok(entry.clone())));
}

/// A part of `whole` that two bytes say, from nothing to all.
fn scaled(fraction: u16, whole: usize) -> usize {
    whole * usize::from(fraction) / usize::from(u16::MAX)
}

impl Bytes<'_> {
    fn fraction(&mut self) -> u16 {
        u16::from_be_bytes([self.next(), self.next()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::mix;

    /// Small numbers: they are kinds of calls and lengths.
    #[test]
    fn bytes_of_chance_break_nothing() {
        for seed in 0..3_000_u64 {
            let len = (mix(seed) % 600) as usize;
            let byte = |at| match mix(mix(seed) ^ at) {
                any if any % 4 == 0 => (any >> 8) as u8,
                small => (small >> 8) as u8 % 14,
            };
            let data: Vec<u8> = (0..len as u64).map(byte).collect();
            recording(&data);
        }
    }
}

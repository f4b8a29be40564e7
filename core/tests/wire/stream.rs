//! Frames out of a stream, and what can come instead of the first.

use proptest::prelude::*;
use queenright_core::wire::{FRAME_LEN_MAX, FourLetterWord, FrameError, Frames};

proptest! {
    /// However the stream is cut, and whenever frames are taken.
    #[test]
    fn pieces_give_the_same_frames(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..8),
        cuts in prop::collection::vec((0_usize..12, any::<bool>()), 0..80),
    ) {
        let stream: Vec<u8> = bodies
            .iter()
            .flat_map(|body| [&(body.len() as u32).to_be_bytes()[..], body].concat())
            .collect();
        let mut frames = Frames::new(30);
        let (mut rest, mut seen) = (&stream[..], Vec::new());
        for (len, takes) in cuts {
            let (piece, left) = rest.split_at(len.min(rest.len()));
            frames.push(piece);
            rest = left;
            while takes && let Some(body) = frames.next_frame().unwrap() {
                seen.push(body.to_vec());
            }
        }
        frames.push(rest);
        while let Some(body) = frames.next_frame().unwrap() {
            seen.push(body.to_vec());
        }
        prop_assert_eq!(seen, bodies);
        prop_assert_eq!(frames.peek(), None);
    }
}

#[test]
fn a_length_that_no_frame_has_stays_an_error() {
    for (len, is_possible) in [
        (0, true),
        (FRAME_LEN_MAX as i32, true),
        (FRAME_LEN_MAX as i32 + 1, false),
        (i32::MAX, false),
        (-1, false),
        (i32::MIN, false),
    ] {
        let mut frames = Frames::new(FRAME_LEN_MAX);
        frames.push(&[0, 0, 0, 1, 7]);
        frames.push(&len.to_be_bytes());
        assert_eq!(frames.next_frame(), Ok(Some(&[7][..])));
        assert_eq!(frames.next_frame().is_ok(), is_possible, "{len}");
        if !is_possible {
            frames.push(b"more");
            assert_eq!(frames.next_frame(), Err(FrameError { len, len_max: FRAME_LEN_MAX }));
        }
    }
    let error = FrameError { len: -1, len_max: 9 };
    assert_eq!(
        error.to_string(),
        "a frame of -1 bytes was announced; 0 to 9 are possible: close the connection"
    );
}

/// What is announced costs nothing until it comes; and what was taken does not stay.
#[test]
fn claims_cost_nothing() {
    let cost = allocation_counter::measure(|| {
        let mut frames = Frames::new(FRAME_LEN_MAX);
        frames.push(&(FRAME_LEN_MAX as u32).to_be_bytes());
        assert_eq!(frames.next_frame(), Ok(None));
    });
    assert!(cost.bytes_max < 100, "{cost:?}");
    let cost = allocation_counter::measure(|| {
        let mut frames = Frames::new(FRAME_LEN_MAX);
        for _ in 0..10_000 {
            frames.push(&[0, 0, 0, 4, 1, 2, 3, 4, 0]);
            assert!(frames.next_frame().unwrap().is_some());
            frames.push(&[0, 0, 1, 9]);
            assert!(frames.next_frame().unwrap().is_some());
        }
    });
    assert!(cost.bytes_max < 100, "{cost:?}");
}

#[test]
fn words_are_no_lengths() {
    for word in FourLetterWord::ALL {
        assert_eq!(FourLetterWord::parse(word.bytes()), Some(*word));
        let mut frames = Frames::new(FRAME_LEN_MAX);
        frames.push(&word.bytes());
        assert_eq!(frames.peek(), Some(word.bytes()));
        assert!(frames.next_frame().is_err(), "{word:?} could be the length of a frame");
    }
    assert_eq!(FourLetterWord::parse(*b"RUOK"), None);
    assert_eq!(FourLetterWord::parse([0, 0, 0, 45]), None);
}

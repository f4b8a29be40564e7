//! The exhaustive checker on its smaller worlds; `make worlds` checks all of them.

#![allow(clippy::unwrap_used)] // A test may panic.

use queenright_core::mutation::Mutation;
use queenright_sim::exhaustive::{
    BadRepro, Hunt, LARGER, Repro, Settings, Start, WORLDS, World, check, draw, find, hunt, narrate,
};
use queenright_sim::timeline::Fate;

/// Larger worlds take too long without all optimisation.
const STATES_MAX: u64 = 80_000;

#[test]
fn small_worlds_hold_in_all_of_their_states_and_have_as_many_as_are_on_record() {
    let small = WORLDS.iter().filter(|world| world.states.is_some_and(|states| states <= STATES_MAX));
    let mut count = 0;
    for world in small {
        let outcome = check(world, Settings::default(), &mut |_| ())
            .unwrap_or_else(|found| panic!("{}: {} after {:?}", world.name, found.violation, found.steps));
        assert!(outcome.is_exhausted, "{}", world.name);
        assert_eq!(outcome.missing(world), [], "{}: goals that were not reached", world.name);
        assert_eq!(Some(outcome.states), world.states, "{}", world.name);
        count += 1;
    }
    assert!(count >= 6, "only {count} worlds");
}

#[test]
fn guards_that_are_taken_out_are_missed() {
    for (guard, property, steps) in [
        (Mutation::NoBeat, "steady leaders", 0),
        (Mutation::NoWait, "exclusive belief", 0),
        (Mutation::UnansweredBeatCounts, "exclusive belief", 5),
        (Mutation::NoProofOfLife, "exclusive belief", 6),
        (Mutation::KillAtAnyVersion, "exclusive belief", 14),
        (Mutation::CreateSentTwice, "lease names", 2),
        (Mutation::NobodyVacates, "leaders", 0),
        (Mutation::TermEventIgnored, "leaders", 3),
        (Mutation::NoFloor, "rising tokens", 16),
        (Mutation::ReleaseForgotten, "rising tokens", 17),
        (Mutation::StoppedOfAnyTerm, "alternation", 10),
        (Mutation::OneTermIsMany, "queue", 3),
        (Mutation::UnwantedTermKept, "leaders", 20),
        (Mutation::QueueNotListedAgain, "leaders", 11),
        (Mutation::CandidateForgotten, "queue", 5),
        (Mutation::OrphanKept, "queue", 7),
        (Mutation::OwnZnodeNotWatched, "registrations", 10),
        (Mutation::RefusalIsDeletion, "registrations", 13),
        (Mutation::HearsayIsEmpty, "caches", 11),
        (Mutation::UnusedCacheKept, "caches", 5),
    ] {
        let Hunt::In(name) = hunt(guard) else { panic!("{guard:?} is not looked for") };
        let world = World { mutation: Some(guard), ..*find(name).unwrap() };
        let found = check(&world, Settings::default(), &mut |_| ()).unwrap_err();
        assert_eq!(found.violation.property, property, "{guard:?}: {}", found.violation);
        assert_eq!(found.steps.len(), steps, "{guard:?}: {}", found.violation);
    }
}

#[test]
fn a_counterexample_can_be_written_read_and_taken_again() {
    let world = World { mutation: Some(Mutation::UnansweredBeatCounts), ..*find("lapse").unwrap() };
    let found = check(&world, Settings::default(), &mut |_| ()).unwrap_err();
    let text = Repro::new(&world, &found).to_toml();
    assert!(Repro::is_meant(&text));
    let repro = Repro::from_toml(&text).unwrap();
    assert_eq!(repro.to_toml(), text);
    let (story, violation) = narrate(&repro).unwrap();
    assert_eq!(violation.map(|violation| violation.property), Some("exclusive belief"), "{story:#?}");
    // With the guard the leader has a deadline before that of the other one.
    let guarded = Repro { world: World { mutation: None, ..repro.world }, ..repro };
    assert_eq!(narrate(&guarded).unwrap_err(), "step 3 is not possible there: time n1");

    let unknown = text.replace("\"lapse\"", "\"nowhere\"");
    assert_eq!(Repro::from_toml(&unknown).unwrap_err(), BadRepro::World("nowhere".into()));
    let later = text.replace("format = 1", "format = 2");
    assert_eq!(Repro::from_toml(&later).unwrap_err(), BadRepro::Format { found: 2 });
    let strange = text.replace("time n0", "dance n0");
    assert_eq!(Repro::from_toml(&strange).unwrap_err(), BadRepro::Step("dance n0".into()));
}

/// What a guard's absence leads to, as a picture: it shows what the checker has seen.
#[test]
fn a_counterexample_can_be_drawn() {
    for (guard, overlaps) in [
        (Mutation::NoBeat, false),
        (Mutation::UnansweredBeatCounts, true),
        (Mutation::KillAtAnyVersion, true),
        (Mutation::UnknownIsAbsent, true),
        (Mutation::QueueNotListedAgain, false),
        (Mutation::DeleteForgotten, false),
    ] {
        let Hunt::In(name) = hunt(guard) else { panic!("{guard:?} is not looked for") };
        let world = World { mutation: Some(guard), ..*find(name).unwrap() };
        let found = check(&world, Settings::default(), &mut |_| ()).unwrap_err();
        let repro = Repro::from_toml(&Repro::new(&world, &found).to_toml()).unwrap();
        let (timeline, violation) = draw(&repro).unwrap();
        assert_eq!(violation, narrate(&repro).unwrap().1, "{guard:?}");
        assert_eq!(violation, Some(found.violation), "{guard:?}");
        assert_eq!(timeline, draw(&repro).unwrap().0, "{guard:?}: the same each time");
        let overlap: u64 = timeline.rulers.iter().map(|ruler| ruler.overlap).sum();
        assert_eq!(overlap > 0, overlaps, "{guard:?}: two believe at once for {overlap} ns");
        for message in &timeline.messages {
            assert_eq!(message.fate == Fate::Travelling, message.ended.is_none(), "{guard:?}: {message:?}");
            if message.fate == Fate::Arrived {
                assert!(
                    timeline.cone(message.ended.unwrap()).contains(&message.sent),
                    "{guard:?}: {message:?}"
                );
            }
        }
        let has_arrived = |fate| matches!(fate, Fate::Arrived | Fate::Unheard);
        let arrived = timeline.messages.iter().filter(|message| has_arrived(message.fate)).count();
        // What arrives is drawn once, also in the run without faults.
        let steps = narrate(&repro).unwrap().0;
        let is_delivery = |step: &&String| {
            !step.starts_with("    ")
                && [" serve ", " answer ", " event "].iter().any(|way| step.contains(way))
        };
        let (delivered, claimed) =
            (steps.iter().filter(is_delivery).count(), usize::from(world.start == Start::Led));
        assert_eq!(arrived, delivered + claimed, "{guard:?}");
    }
}

#[test]
fn every_guard_is_looked_for_in_a_world_that_there_is_or_is_excused() {
    let mut names: Vec<_> = WORLDS.iter().chain(&LARGER).map(|world| world.name).collect();
    for guard in Mutation::ALL.iter().chain(Mutation::SOUGHT).chain(Mutation::SPARE) {
        match hunt(*guard) {
            Hunt::In(name) => assert!(find(name).is_some(), "{guard:?}: there is no world {name:?}"),
            Hunt::Not(reason) => assert!(!reason.is_empty(), "{guard:?}"),
        }
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), WORLDS.len() + LARGER.len(), "two worlds have one name");
}

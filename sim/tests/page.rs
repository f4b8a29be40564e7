//! The page in a real browser: it opens without an error, selects, shows what led to an event, and does what hands want.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use queenright_core::mutation::Mutation;
use queenright_sim::exhaustive::{self, Settings, World, check, find};
use queenright_sim::explorer::{Plan, Repro, draw};
use queenright_sim::timeline::{Fate, Kind, Timeline, page};

/// The names that browsers of this family go by.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn write(directory: &Path, timeline: &Timeline) -> PathBuf {
    let file = directory.join("timeline.html");
    fs::write(&file, page(timeline)).unwrap();
    file
}

/// The document after its scripts ran. Panics when any of them complained.
fn open(directory: &Path, file: &Path, fragment: &str) -> String {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        "--window-size=1500,1000",
        "--virtual-time-budget=4000",
        "--dump-dom",
    ];
    let found = BROWSERS.iter().find_map(|browser| {
        Command::new(browser)
            .args(arguments)
            .arg(format!("--user-data-dir={}", directory.join("profile").display()))
            .arg(format!("file://{}{fragment}", file.display()))
            .output()
            .ok()
    });
    let output = found.unwrap_or_else(|| panic!("none of {BROWSERS:?} is installed"));
    let (document, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let of_page: Vec<&str> = complaints.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(of_page.is_empty(), "{of_page:#?}");
    assert!(document.contains("data-ready=\"true\""), "its script did not end:\n{complaints}");
    assert!(!document.contains("data-error="), "an error was raised");
    document.into_owned()
}

/// What `script` says of the page, by `say(name, value)`, when it has done with it what hands do: it has `hover`, `click`, `drag`,
/// `wheel` and `key`, and sees the picture that follows with `draw()`.
fn act(directory: &Path, timeline: &Timeline, script: &str) -> BTreeMap<String, String> {
    let hands = include_str!("page.hands.js").replace("{script}", script);
    let page = page(timeline).replace("</body>", &format!("<script>{hands}</script></body>"));
    let file = directory.join("acted.html");
    fs::write(&file, page).unwrap();
    let document = open(directory, &file, "");
    let said =
        attribute(&document, "data-said").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    serde_json::from_str(&said.replace("&amp;", "&")).unwrap()
}

fn attribute<'a>(document: &'a str, name: &str) -> &'a str {
    let start = format!(" {name}=\"");
    let found = document.split_once(&start).unwrap_or_else(|| panic!("no {name}"));
    found.1.split('"').next().unwrap()
}

fn violated() -> Timeline {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/NoWait.repro.toml");
    let repro = Repro::from_toml(&fs::read_to_string(file).unwrap()).unwrap();
    draw(&repro.plan, &|config| config.mutation = repro.mutation).1
}

#[test]
#[ignore = "needs Chromium: make page"]
fn in_chromium_an_event_is_selected_with_all_that_led_to_it() {
    let (directory, timeline) = (directory("page-violated"), violated());
    let file = write(&directory, &timeline);
    let last = timeline.events.iter().rposition(|event| event.kind == Kind::Belief).unwrap();
    let document = open(&directory, &file, &format!("#select={last}"));
    assert_eq!(attribute(&document, "data-selected"), last.to_string());
    let shown: BTreeSet<u32> =
        attribute(&document, "data-cone").split(',').map(|event| event.parse().unwrap()).collect();
    assert_eq!(shown, timeline.cone(u32::try_from(last).unwrap()), "as it was computed outside");
    assert_eq!(attribute(&document, "aria-activedescendant"), format!("e{last}"));
    let row = document.split(&format!("id=\"e{last}\"")).nth(1).unwrap();
    assert!(row.starts_with(" role=\"option\" aria-selected=\"true\""), "{}", &row[..100]);
    let overlap = timeline.rulers.iter().map(|ruler| ruler.overlap).max().unwrap();
    assert!(document.contains(&format!("data-overlap=\"{overlap}\"")), "the overlap is told");
    assert!(document.contains("Violation: exclusive belief"));
}

#[test]
#[ignore = "needs Chromium: make page"]
fn in_chromium_a_counterexample_of_the_checker_is_shown() {
    let directory = directory("page-counterexample");
    let world = World { mutation: Some(Mutation::KillAtAnyVersion), ..*find("stall").unwrap() };
    let found = check(&world, Settings::default(), &mut |_| ()).unwrap_err();
    let (timeline, _) = exhaustive::draw(&exhaustive::Repro::new(&world, &found)).unwrap();
    let document = open(&directory, &write(&directory, &timeline), "");
    assert!(document.contains("Violation: exclusive belief: n0 and n1 both believe to lead g"));
    let overlap = timeline.rulers[0].overlap;
    assert!(overlap > 0 && document.contains(&format!("data-overlap=\"{overlap}\"")), "{overlap}");
}

#[test]
#[ignore = "needs Chromium: make page"]
fn in_chromium_a_correct_run_is_shown_without_an_overlap_and_nothing_is_selected() {
    let directory = directory("page-correct");
    let (_, timeline) = draw(&Plan::from_seed(3), &|_| ());
    let file = write(&directory, &timeline);
    let document = open(&directory, &file, "");
    assert!(document.contains("No violation."));
    assert_eq!(attribute(&document, "data-overlap"), "0");
    assert!(!document.contains("data-selected="), "nothing is selected");
    let told = document.matches("role=\"option\"").count();
    assert!((10..200).contains(&told), "only what can be seen is in the document: {told} rows");
}

/// A run, and the loss of a message with which nothing else happened in its place.
fn with_a_loss() -> (Timeline, u32) {
    let lost_alone = |timeline: &Timeline| {
        let is_alone = |event: &u32| {
            let event = &timeline.events[*event as usize];
            timeline.events.iter().filter(|other| (other.at, other.lane) == (event.at, event.lane)).count()
                == 1
        };
        let lost = timeline.messages.iter().filter(|message| message.fate == Fate::Lost && !message.ping);
        lost.filter_map(|message| message.ended).find(is_alone)
    };
    let timelines = (0..50).map(|seed| draw(&Plan::from_seed(seed), &|_| ()).1);
    timelines.filter_map(|timeline| lost_alone(&timeline).map(|lost| (timeline, lost))).next().unwrap()
}

#[test]
#[ignore = "needs Chromium: make page"]
fn in_chromium_hovering_clicking_dragging_and_keys_do_what_they_say() {
    let (directory, (timeline, number)) = (directory("page-hands"), with_a_loss());
    let event = &timeline.events[number as usize];
    let said = act(
        &directory,
        &timeline,
        &format!(
            "const event = {number}, px = () => x(run.events[event].at), py = baseline[place(run.events[event].lane)];
            zoom(0.05, run.events[event].at);
            draw();
            hover(px(), py);
            say('hovered', $('hover').hidden ? '' : $('hover').textContent);
            hover(px(), 5);
            say('left', $('hover').hidden);
            click(px(), py);
            say('clicked', selected);
            say('cone', [...cone].sort((a, b) => a - b).join());
            say('details', $('details').textContent);
            const other = hits.find((hit) => hit.number !== undefined && hit.number !== selected && hit.px > 400);
            const before = timeAt(other.px);
            drag(other.px, other.y, other.px - 150, other.y);
            say('dragged', Math.abs(timeAt(other.px - 150) - before) < 1e3);
            say('after the drag', selected);
            key('ArrowRight');
            say('right', selected);
            key('ArrowLeft'); key('ArrowLeft');
            say('left twice', selected);
            $('next').click();
            say('button', selected);
            const span = view.to - view.from;
            key('+');
            say('closer', (view.to - view.from) / span);
            wheel(400, py, 500);
            say('wheel', view.to - view.from > span / 2);
            key('0');
            say('all', view.to >= shownEnd * 0.999);
            key('Escape');
            say('nothing', selected === null && !('selected' in document.body.dataset));
            $('filter').value = 'LOST: ';
            $('filter').dispatchEvent(new Event('input', {{ bubbles: true }}));
            say('found', shown.length);
            key('ArrowRight', $('filter'));
            say('typing', selected === null);
            key('ArrowRight');
            say('first found', selected === shown[0]);"
        ),
    );
    let said = |name: &str| said.get(name).unwrap_or_else(|| panic!("nothing of {name}")).as_str();
    let shown: Vec<u32> = (0..)
        .zip(&timeline.events)
        .filter(|(_, event)| event.kind != Kind::Ping)
        .map(|(number, _)| number)
        .collect();
    let at = shown.iter().position(|shown| *shown == number).unwrap();
    assert!(said("hovered").starts_with(&event.text), "{}", said("hovered"));
    assert!(said("hovered").ends_with("It was lost: it never arrived."), "{}", said("hovered"));
    assert_eq!(said("left"), "true");
    assert_eq!(said("clicked"), number.to_string());
    let cone: Vec<String> = timeline.cone(number).iter().map(ToString::to_string).collect();
    assert_eq!(said("cone"), cone.join(","), "as it was computed outside");
    assert!(
        said("details").contains(&event.text) && said("details").contains("It was lost"),
        "{}",
        said("details")
    );
    assert_eq!(
        (said("dragged"), said("after the drag")),
        ("true", said("clicked")),
        "dragging selects nothing else"
    );
    assert_eq!(said("right"), shown[at + 1].to_string());
    assert_eq!(said("left twice"), shown[at - 1].to_string());
    assert_eq!(said("button"), number.to_string());
    let closer: f64 = said("closer").parse().unwrap();
    assert!((closer - 0.5).abs() < 1e-9, "{closer} of what was seen before");
    for truth in ["wheel", "all", "nothing", "typing", "first found"] {
        assert_eq!(said(truth), "true", "{truth}");
    }
    let found =
        timeline.events.iter().filter(|event| event.text.contains("lost: ") && event.kind != Kind::Ping);
    assert_eq!(said("found"), found.count().to_string());
}

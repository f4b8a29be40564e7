//! The page: one file, with everything in it.

use super::model::Timeline;

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A page that shows `timeline`, and needs nothing else.
///
/// # Panics
/// Never: a timeline has nothing in it that JSON could not write.
#[must_use]
pub fn page(timeline: &Timeline) -> String {
    let data = serde_json::to_string(timeline);
    let data = data.unwrap_or_else(|error| panic!("a timeline that cannot be written: {error}"));
    // Each part once, and never within what was put in before.
    let mut page = String::new();
    let mut rest = HTML;
    for (mark, part) in [
        ("{title}", escaped(&timeline.title)),
        ("{style}", CSS.to_owned()),
        ("{data}", embedded(&data)),
        ("{script}", SCRIPT.to_owned()),
    ] {
        let Some((before, after)) = rest.split_once(mark) else { continue };
        page.push_str(before);
        page.push_str(&part);
        rest = after;
    }
    page + rest
}

/// JSON that no string in it can end: an element of a script ends at `</`, and comments begin with `<!`, wherever they are.
fn embedded(json: &str) -> String {
    let escape = |char| match char {
        '<' => "\\u003c".to_owned(),
        '>' => "\\u003e".to_owned(),
        '&' => "\\u0026".to_owned(),
        '\u{2028}' => "\\u2028".to_owned(),
        '\u{2029}' => "\\u2029".to_owned(),
        other => other.to_string(),
    };
    json.chars().map(escape).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_run_says_breaks_out_of_the_page() {
        let wicked = "</script><script>alert(1)</script><!-- {script} \u{2028} & \"";
        let timeline = Timeline { title: wicked.into(), plan: wicked.into(), ..Timeline::default() };
        let page = page(&timeline);
        assert_eq!(page.matches("</script>").count(), 2, "that of the data and that of the script");
        assert!(!page.contains("<!--"), "{page}");
        assert_eq!(page.matches("alert(1)").count(), 3, "as text: in the title and twice in the data");
        let data =
            page.split("type=\"application/json\">").nth(1).unwrap().split("</script>").next().unwrap();
        assert_eq!(serde_json::from_str::<Timeline>(data).unwrap(), timeline);
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        let page = page(&Timeline::default());
        for way in ["http://", "https://", "src=", "@import", "url(", "fetch("] {
            assert!(!page.contains(way), "{way}");
        }
    }
}

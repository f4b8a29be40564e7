//! Paths as a server sees them: any text.

/// The path under which the root is stored: real servers have it under the empty path, too.
pub(super) fn canonical(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// The path up to the last slash; the empty text for a child of the root, for the root, and where there is no slash.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The path from the last slash on.
pub(super) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// `path` and all paths above it, up to the root.
pub(super) fn self_and_ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match *path {
        "/" | "" => None,
        path => Some(canonical(parent(path))),
    })
}

/// Whether a znode may be created or changed at `path`: ZooKeeper's `PathUtils.validatePath`.
pub(super) fn is_valid(path: &str) -> bool {
    let Some(elements) = path.strip_prefix('/') else { return false };
    path == "/" || elements.split('/').all(is_valid_element)
}

fn is_valid_element(element: &str) -> bool {
    // Nearly all are plain.
    let is_plain = || element.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    !matches!(element, "" | "." | "..") && (is_plain() || !element.chars().any(is_refused))
}

fn is_refused(c: char) -> bool {
    // Between U+0001 and U+F8FF the real check also names U+D800, which no `char` can be; characters beyond the
    // basic plane are pairs of such units there, and so are refused.
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{10ffff}')
}

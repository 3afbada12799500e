//! The line of a field, for reports. The parser keeps no positions, so keys are looked for in the text;
//! where the text is written in another style the nearest line above is given.

/// The line of `path` in a document's text, from 0.
pub fn find(text: &str, path: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    let mut depth: Option<usize> = None;
    for step in steps(path) {
        let found = match step {
            Step::Key(key) => lines
                .iter()
                .enumerate()
                .skip(at)
                .take_while(|(index, line)| *index == at || inside(line, depth))
                .find(|(_, line)| is_key(line, key)),
            Step::Item(wanted) => lines
                .iter()
                .enumerate()
                .skip(at + 1)
                .filter(|(_, line)| line.trim_start().starts_with("- "))
                .take_while(|(_, line)| depth.is_none_or(|depth| indent(line) >= depth))
                .nth(wanted),
        };
        match found {
            Some((index, line)) => {
                at = index;
                depth = Some(indent(line));
            }
            // In flow style the rest is on the same line, or near it.
            None => return at,
        }
    }
    at
}

enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

/// `spec.aliases[1].to` is spec, aliases, item 1, to. Keys with dots stand in the last brackets.
fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, items) = part.split_once('[').unwrap_or((part, ""));
        if !key.is_empty() {
            steps.push(Step::Key(key));
        }
        for item in items.split('[') {
            if let Ok(index) = item.trim_end_matches(']').parse() {
                steps.push(Step::Item(index));
            }
        }
    }
    steps
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn inside(line: &str, depth: Option<usize>) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#') || depth.is_none_or(|depth| indent(line) >= depth)
}

fn is_key(line: &str, key: &str) -> bool {
    let start = line.trim_start().trim_start_matches(['-', '{', ' ', '"', '\'']);
    let key_here = |rest: &str| rest.trim_start_matches(['"', '\'']).starts_with(':');
    start.strip_prefix(key).is_some_and(key_here)
        || line.match_indices(key).any(|(index, _)| {
            let before = line.get(..index).unwrap_or_default();
            let after = line.get(index + key.len()..).unwrap_or_default();
            before.trim_end_matches(['"', '\'', ' ']).ends_with(['{', ',']) && key_here(after)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_and_flow() {
        let text = "kind: MailDomain\nmetadata:\n  name: a\nspec:\n  dmarc: {policy: None,\n    fo: 1}\n  aliases:\n  - name: x\n    to: [y]\n  - name: z\n    to:\n    - w\n";
        for (path, line) in [
            ("kind", 0),
            ("metadata.name", 2),
            ("spec", 3),
            ("spec.dmarc.policy", 4),
            ("spec.dmarc.fo", 5),
            ("spec.aliases[0].name", 7),
            ("spec.aliases[1].name", 9),
            ("spec.aliases[1].to[0]", 11),
            ("spec.absent", 3),
            ("", 0),
        ] {
            assert_eq!(find(text, path), line, "{path}");
        }
    }
}

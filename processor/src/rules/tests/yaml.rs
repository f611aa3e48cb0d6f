use std::fmt::Write as _;

use super::*;

fn read(text: &str) -> (Option<Node>, Vec<String>) {
    let mut complaints = Vec::new();
    let node = parse(text, &mut |at, complaint| {
        complaints.push(format!("{}:{}: {}", at.line, at.column, complaint.reason));
    });
    (node, complaints)
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(read(text).1, expected, "{text}");
}

/// Every visible character of the text under `a` is found where it stands in the file.
fn check_places(yaml: &str, expected: &str, places: &[(usize, usize)]) {
    let (root, complaints) = read(yaml);
    assert_eq!(complaints, [""; 0], "{yaml}");
    let Some(Node { value: Value::Map(entries), .. }) = root else { panic!("{yaml}") };
    let Value::Scalar(scalar) = &entries[0].value.value else { panic!("{yaml}") };
    assert_eq!(scalar.text, expected, "{yaml}");
    let visible = scalar.text.chars().enumerate().filter(|(_, c)| !c.is_whitespace());
    let found: Vec<(usize, usize)> = visible
        .map(|(offset, _)| position_in(yaml, entries[0].value.at, scalar, offset))
        .map(|at| (at.line, at.column))
        .collect();
    assert_eq!(found, places, "{yaml}");
}

#[test]
fn characters_of_every_style_of_text_are_found() {
    check_places("a: x y\n", "x y", &[(1, 4), (1, 6)]);
    check_places("\u{feff}a: x\r\n", "x", &[(1, 4)]);
    check_places("a: x\n   y\n\n  z\n", "x y\nz", &[(1, 4), (2, 4), (4, 3)]);
    check_places("{a: 'x''中 y'}", "x'中 y", &[(1, 6), (1, 7), (1, 9), (1, 11)]);
    check_places(r#"a: "x\t\"\u4e2d\x20y""#, "x\t\"中 y", &[(1, 5), (1, 8), (1, 10), (1, 20)]);
    check_places("a: \"x \\\n   y\"", "x y", &[(1, 5), (2, 4)]);
    check_places("a: |\n\n  x\n    y\n\n  z\n", "\nx\n  y\n\nz\n", &[(3, 3), (4, 5), (6, 3)]);
    check_places("a: >-\n  x\n  y\n\n  z", "x y\nz", &[(2, 3), (3, 3), (5, 3)]);
    check_places("a: &b x", "x", &[(1, 7)]);
    check_places("a: &b\n  'x'", "x", &[(2, 4)]);
    check_places("a: &b |\n  x\n", "x\n", &[(2, 3)]);
    check_places("a: |\n  &x\n", "&x\n", &[(2, 3), (2, 4)]);
}

#[test]
fn the_end_of_a_text_is_behind_its_last_character() {
    let scalar = Scalar { text: "x y".to_owned(), style: ScalarStyle::DoubleQuoted };
    let at = Position { line: 1, column: 1 };
    assert_eq!(position_in("\"x y\"", at, &scalar, 3), Position { line: 1, column: 5 });
    let scalar = Scalar { text: String::new(), style: ScalarStyle::SingleQuoted };
    assert_eq!(position_in("''", at, &scalar, 7), at);
}

#[test]
fn what_is_no_rule_file_is_refused() {
    check("", &["1:1: the file is empty; write `rules:` and a list"]);
    check("# nothing\n", &["1:1: the file is empty; write `rules:` and a list"]);
    check("a: 1\n---\nb: 2", &["2:1: a second YAML document; write all rules of a file in one `rules:` list"]);
    check(
        "a: [1\n",
        &[
            "2:1: not YAML: while parsing a flow sequence, expected ',' or ']'; put an expression that holds any of , [ ] { } in quotes",
        ],
    );
    check(
        "a: b ? c : d",
        &["1:10: not YAML: mapping values are not allowed in this context; put a text that holds `: ` in quotes"],
    );
    check("a: !b.c", &["1:4: YAML takes `!b.c` for a tag; put a condition that begins with `!` in quotes"]);
    check("a: 1\nb: 2\na: 3\na: 4", &["3:1: the key `a` is here twice", "4:1: the key `a` is here twice"]);
    check("[a]: 1", &["1:1: a key is a word, this is a list"]);
    check("a: &x [1, *x]", &["1:11: this alias stands within what it repeats"]);
    check(
        "a: *x",
        &["1:4: not YAML: while parsing node, found unknown anchor; a text that begins with `*` needs quotes"],
    );
}

#[test]
fn aliases_repeat_but_do_not_explode() {
    let (root, complaints) = read("a: &x [1, 2]\nb: [*x, *x]\n");
    assert_eq!(complaints, [""; 0]);
    let Some(Node { value: Value::Map(entries), .. }) = root else { panic!() };
    let Value::List(items) = &entries[1].value.value else { panic!() };
    assert_eq!((items.len(), &items[0]), (2, &entries[0].value));

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let before = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(bomb, "a{n}: &a{n} [{before}]").unwrap();
    }
    let (root, complaints) = read(&bomb);
    assert!(root.is_none());
    assert_eq!(complaints, ["4:45: aliases repeat more than 10000 values, or nest too deep"]);

    let mut tower = "a0: &a0 [x]\n".to_owned();
    for n in 1..200 {
        writeln!(tower, "a{n}: &a{n} [*a{}]", n - 1).unwrap();
    }
    assert_eq!(read(&tower).1, ["64:12: aliases repeat more than 10000 values, or nest too deep"]);
}

#[test]
fn depth_is_bounded() {
    let reason = "more than 64 lists and mappings within each other";
    check(&"- ".repeat(100_000), &[&format!("1:129: {reason}")]);
    check(&"[".repeat(100), &[&format!("1:65: {reason}")]);
    check(&"{a: ".repeat(100_000), &["1:1021: not YAML: recursion limit exceeded"]);
}

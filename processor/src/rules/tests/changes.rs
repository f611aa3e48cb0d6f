use super::*;

const BEFORE: &str = "
- {id: a, let: {n: {count: purchase, over: 7d}}, when: n > 3, annotations: {summary: {en: '{{ n }}'}}}
- {id: b, let: {n: {count: purchase, over: 7d}}, when: n > 3}
- {id: c, let: {n: {count: complaint, over: 7d}}, when: n > 3}";

fn check(after: &str, [new, gone, changed, texts]: [&str; 4], reordered: bool) {
    let set = |rules: &str| load_text(&format!("rules:{rules}\n")).unwrap().set;
    let ids = |ids: &str| ids.split_whitespace().map(Box::from).collect();
    let expected = Changes { new: ids(new), gone: ids(gone), changed: ids(changed), texts: ids(texts), reordered };
    let found = Changes::between(&set(BEFORE), &set(after));
    assert_eq!(found, expected, "{after}");
    assert_eq!(found.is_empty(), expected == Changes::default());
}

#[test]
fn what_is_another_between_two_sets_is_told_by_rule() {
    check(BEFORE, ["", "", "", ""], false);
    check(&BEFORE.replace("a, let", "z, let"), ["z", "a", "", ""], false);
    check(&BEFORE.replace("complaint, over: 7d", "complaint, over: 8d"), ["", "", "c", ""], false);
    check(&BEFORE.replace("'{{ n }}'", "'{{ n }} purchases'"), ["", "", "", "a"], false);
    check(&BEFORE.replace("id: b,", "id: b, description: why,"), ["", "", "", "b"], false);
    // Another layout, and another word for the same time: the rule is what it was.
    check(&BEFORE.replace("n: {count: complaint, over: 7d}", "n: {over: 1w,   count: complaint}"), [""; 4], false);
    // The alert's record names the value.
    check(
        &BEFORE.replace("n: {count: complaint, over: 7d}}, when: n", "m: {count: complaint, over: 7d}}, when: m"),
        ["", "", "", "c"],
        false,
    );
    check(" []", ["", "a b c", "", ""], false);
}

#[test]
fn rules_that_come_and_go_do_not_change_the_order_of_the_others() {
    let lines: Vec<&str> = BEFORE.trim_start().lines().collect();
    let of =
        |places: &[usize]| ["\n", &places.iter().map(|place| lines[*place]).collect::<Vec<_>>().join("\n")].concat();
    check(&of(&[0, 2]), ["", "b", "", ""], false);
    check(&format!("\n- {{id: z, when: true}}{}", of(&[0, 1, 2])), ["z", "", "", ""], false);
    check(&of(&[2, 0, 1]), [""; 4], true);
}

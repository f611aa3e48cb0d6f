use super::*;

fn check(text: &str, expected: &[(usize, &str)]) {
    let faults = parse(text).err().unwrap_or_default();
    let shown: Vec<(usize, String)> = faults
        .into_iter()
        .map(|fault| match fault.complaint.nearest {
            Some(nearest) => (fault.at, format!("{} -> {nearest}", fault.complaint.reason)),
            None => (fault.at, fault.complaint.reason),
        })
        .collect();
    let shown: Vec<(usize, &str)> = shown.iter().map(|(at, reason)| (*at, reason.as_str())).collect();
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn the_subset_is_read_in_full() {
    for text in [
        "true",
        "-5 < customer.x && 5u == 5.0 || null != 'a'",
        "!(a || b) && !has(customer.x)",
        "a + b - c * d / e % -f > 1e3",
        "customer.x in ['a', \"b\", r'\\c', '''d''']",
        "a ? b : c ? d : e",
        "customer.name.startsWith('A') || customer.name.endsWith('B') || customer.name.contains('中')",
        "quiet >= days(2.5 * x) && gap < hours(1) && gap > minutes(n)",
        "a - -1 > 0 && '!! -- //' == r\"\\\" // a comment !! --",
        "a !=\n!b",
    ] {
        check(text, &[]);
    }
}

#[test]
fn signs_stand_where_they_begin() {
    let node = parse("'中文' == customer.x && has( customer.y ) || n.contains('a')").unwrap();
    let Form::Or(sides) = &node.form else { panic!("{node:?}") };
    let Form::And(and) = &sides[0].form else { panic!("{node:?}") };
    assert_eq!((node.at, node.start(), sides[0].at, and[0].at, and[1].at), (40, 0, 19, 5, 22));
    assert_eq!((sides[1].at, sides[1].start()), (45, 43));
}

#[test]
fn what_is_no_expression_is_explained() {
    check("", &[(0, "the expression ends too early")]);
    check("n >", &[(3, "the expression ends too early")]);
    check("(n > 3", &[(6, "the expression ends too early")]);
    check("n > 3)", &[(5, "`)` does not fit here")]);
    check("'中文' == n and m", &[(10, "`and` is written `&&`")]);
    check("n or m", &[(2, "`or` is written `||`")]);
    check("n = 3", &[(2, "`=` is written `==`")]);
    check("n >\n 3 @", &[(7, "`@` does not fit here")]);
    check("n >= 90d", &[(7, "`d` does not fit here")]);
    check("n == 'a", &[(5, "this text has no closing quote")]);
    check("n == '\\q'", &[(5, "this text holds an escape that is none; write \\\\ for a backslash")]);
    check("金额 > 3", &[(0, "`金` does not fit here")]);
    check("let > 3", &[(0, "`let` is a reserved word of CEL")]);
    check("customer.`a b` > 3", &[(8, "optional and escaped names are not part of rules")]);
    check("n > 99999999999999999999", &[(4, "this number is too large; write it with a fraction: 1e19")]);
    check("n > 1e999", &[(4, "this number is too large")]);
    check("!! n", &[(1, "`!` stands here twice; leave both out")]);
    check("n > - - 3", &[(6, "`-` stands here twice; leave both out")]);
}

#[test]
fn what_cel_has_and_rules_have_not_is_named() {
    let functions = "; there is `has`, `days`, `hours`, `minutes`, `startsWith`, `endsWith`, `contains`";
    let unknown = |name: &str| format!("there is no function `{name}`{functions}");
    check("customer.tags.exists(t, t == 'x')", &[(14, &unknown("exists"))]);
    check("n > 0 && [1].all(x, x > 1)", &[(13, &unknown("all"))]);
    check("size(customer.name) > 3", &[(0, &unknown("size"))]);
    check("customer.name.matches('a') && int(n) > 3", &[(14, &unknown("matches")), (30, &unknown("int"))]);
    check("customer.name.startWith('a')", &[(14, "there is no function `startWith` -> startsWith")]);
    check("day(3) < gap", &[(0, "there is no function `day` -> days")]);
    check("days() < gap", &[(0, "`days` takes one number: days(90)")]);
    check("n.hours(3) < gap", &[(2, "`hours` takes one number: hours(90)")]);
    check("contains('a', 'b')", &[(0, "`contains` is asked of a text: customer.name.contains(\"A\")")]);
    check("has(n)", &[(4, "`has` asks about one field, as in has(customer.tier); compare a named value with null")]);
    check("has()", &[(0, "`has` asks about one field: has(customer.tier)")]);
    check("customer.tags[0] == 'x'", &[(13, "nothing in rules is indexed with [ ]")]);
    check("{'a': 1} == n", &[(0, "there are no maps in rules")]);
    check("A{b: 1} == n", &[(1, "there are no messages in rules")]);
    check("n == [1]", &[(5, "a list stands only to the right of `in`")]);
    check("n in customer.tags", &[(13, "`in` needs a list on its right, such as [\"web\", \"app\"]")]);
    check("n == b'a'", &[(5, "there are no bytes in rules, only texts")]);
    check(
        "customer.a.b == 1",
        &[(10, "only `customer`, `event` and `trigger` have fields, and those hold plain values")],
    );
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = "an expression has at most 64 levels; divide it up";
    let nested = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    check(&nested(60), &[]);
    check(&nested(70), &[(0, deep)]);
    check(&nested(2_000), &[(0, deep)]);
    check(&vec!["1"; 60].join(" + "), &[]);
    check(&vec!["1"; 66].join("+"), &[(1, deep)]);
    check(&vec!["n"; 800].join(" || "), &[]);
    check(&"x".repeat(5_000), &[(0, "an expression has at most 4096 characters")]);
    for repeated in ["-1+", "a.", "a?b:", "a[", "{1:", "!(", "a<", "1 in [", "[1].all(x,", "'", "\"\"\"", "days("] {
        assert!(parse(&repeated.repeat(4_000 / repeated.len())).is_err(), "{repeated}");
    }
}

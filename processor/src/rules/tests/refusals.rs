//! What is refused of a rule and of a rule set, with the words and the place. Values, expressions and YAML have
//! their own tables beside their modules.

use super::*;

fn check(yaml: &str, expected: &[&str]) {
    assert_eq!(problems(yaml), expected, "{yaml}");
}

/// Problems of a rule that is `id: a`, `when: n > 3` and the given further lines, the first of which is line 5.
fn check_rule(lines: &str, expected: &[&str]) {
    let rule = "rules:\n- id: a\n  when: n > 3\n  let: {n: {count: purchase, over: 7d}}\n  ";
    check(&format!("{rule}{}\n", lines.replace('\n', "\n  ")), expected);
}

#[test]
fn a_file_is_a_list_of_rules() {
    check("[]", &["1:1: the file needs a mapping such as rules: [...], this is a list"]);
    check(
        "rule: []",
        &[
            "1:1: a rule file holds a list under `rules:`",
            "1:1: there is no key `rule` in a rule file; did you mean `rules`?",
        ],
    );
    check("rules: {a: b}", &["1:8: `rules` needs a list such as [{id: ..., when: ...}], this is a mapping"]);
    check("rules:", &["1:6: `rules` needs a list such as [{id: ..., when: ...}], this is empty"]);
    check("rules: [a]", &["1:9: a rule needs a mapping such as {id: ..., when: ...}, this is a text"]);
    check("rules: []\nversion: 2", &["2:1: there is no key `version` in a rule file; there is `rules`"]);
    check("rules: []", &[]);
}

#[test]
fn ids_are_there_and_unique() {
    check("rules:\n- when: true", &["2:3: a rule needs an `id`"]);
    let shape = "an id is words of a-z and 0-9 joined by -, such as complaint-burst";
    for id in ["A", "a_b", "a--b", "-a", "a-", "1a", "投诉"] {
        check(&format!("rules:\n- {{when: true, id: {id}}}"), &[&format!("2:20: {shape}; `{id}` is not")]);
    }
    check(
        "rules:\n- {id: a, when: true}\n- {id: b-2, when: true}\n- {id: a, when: x}",
        &["4:8: the id `a` is taken by the rule at r.yaml:2:8", "4:17: there is no value `x`"],
    );
    let (one, two) = colliding_ids();
    check(
        &format!("rules:\n- {{id: {one}, when: true}}\n- {{id: {two}, when: true}}"),
        &[&format!("3:8: the id `{two}` has the same number as `{one}` at r.yaml:2:8; change one of them")],
    );
}

fn colliding_ids() -> (String, String) {
    let mut seen = HashMap::new();
    for n in 0..1_000_000 {
        let id = format!("rule-{n}");
        if let Some(other) = seen.insert(RuleKey::of(&id), id.clone()) {
            return (other, id);
        }
    }
    panic!("a million ids and no two alike")
}

#[test]
fn keys_are_known_and_belong_to_the_kind() {
    check_rule("descripton: x", &["5:3: there is no key `descripton` in a rule; did you mean `description`?"]);
    check_rule("For: 1d", &["5:3: there is no key `For` in a rule; did you mean `for`?"]);
    check_rule("for: 1d\nfor: 2d", &["6:3: the key `for` is here twice"]);
    check_rule("where: true", &["5:3: `where` belongs to rules with a `trigger`"]);
    check_rule(
        "after: 1d\nby: x\nuntil: []",
        &[
            "5:3: `after` belongs to rules with a `trigger`",
            "6:3: `by` belongs to rules with a `trigger`",
            "7:3: `until` belongs to rules with a `trigger`",
        ],
    );
    check_rule("expire: 1d", &["5:3: `expire` belongs to rules with a `trigger` and `until`"]);
    check_rule(
        "lead: 1d\nat: '09:00'\ntimezone: UTC",
        &[
            "5:3: `lead` belongs to rules with a `date`",
            "6:3: `at` belongs to rules with a `date`",
            "7:3: `timezone` belongs to rules with a `date`",
        ],
    );
}

#[test]
fn keys_of_one_kind_are_refused_in_another() {
    let item = "rules:\n- id: a\n  trigger: complaint\n  ";
    check(
        &format!("{item}for: 1d\n  expire: 9d\n  lead: 3d\n  wehre: x"),
        &[
            "4:3: `for` belongs to conditions and to rules with `until`",
            "5:3: `expire` belongs to rules with a `trigger` and `until`",
            "6:3: `lead` belongs to rules with a `date`",
            "7:3: there is no key `wehre` in a rule; did you mean `where`?",
        ],
    );
    check(
        &format!("{item}resolve_when: true\n  keep_firing_for: 1d"),
        &[
            "4:3: `resolve_when` belongs to conditions and to rules with `until`",
            "5:3: `keep_firing_for` belongs to conditions and to rules with `until`",
        ],
    );
    check(
        "rules:\n- id: a\n  date: customer.birthday\n  by: x\n  for: 1d\n  after: 1d",
        &[
            "4:3: `by` belongs to rules with a `trigger`",
            "5:3: `for` belongs to conditions and to rules with `until`",
            "6:3: `after` belongs to rules with a `trigger`",
        ],
    );
    check(
        "rules:\n- id: a\n  trigger: complaint\n  date: customer.birthday",
        &["4:3: a rule has a `trigger` or a `date`, not both"],
    );
}

#[test]
fn a_rule_has_a_condition_or_a_ladder() {
    check("rules:\n- id: a", &["2:3: a rule needs `when` (with `severity`) or `levels`"]);
    check("rules:\n- id: a\n  severity: high", &["2:3: a rule needs `when` (with `severity`) or `levels`"]);
    check(
        "rules:\n- id: a\n  levels: {high: true}\n  severity: high",
        &["4:3: `severity` goes with `when`; `levels` names the severities itself"],
    );
    check("rules:\n- id: a\n  levels: {high: true}\n  when: true", &["4:3: a rule has `when` or `levels`, not both"]);
    check("rules:\n- id: a\n  levels: {}", &["3:11: a ladder needs at least one level"]);
    check(
        "rules:\n- id: a\n  levels: [high]",
        &["3:11: `levels` needs a mapping such as {medium: complaints >= 3}, this is a list"],
    );
    check(
        "rules:\n- id: a\n  levels: {hihg: true, urgent: true}",
        &[
            "3:12: there is no severity `hihg`; did you mean `high`?",
            "3:24: there is no severity `urgent`; there is `info`, `low`, `medium`, `high`, `critical`",
        ],
    );
    check(
        "rules:\n- id: a\n  when: true\n  severity: hgih",
        &["4:13: there is no severity `hgih`; did you mean `high`?"],
    );
    check("rules:\n- id: a\n  when:", &["3:7: `when` needs a text, this is empty"]);
    check("rules:\n- id: a\n  when: [true]", &["3:9: `when` needs a text, this is a list"]);
}

#[test]
fn faults_of_expressions_point_into_them() {
    check_rule(
        "scope: customer.tier == 3 && n > 1",
        &[
            "5:24: `==` between a text and a number: these are never equal",
            "5:32: `scope` looks at attributes alone, not at `n`",
        ],
    );
    check_rule("require: \"customer.name == \\\"中\\\" && m > 3\"", &["5:39: there is no value `m`; there is `n`"]);
    check_rule("resolve_when: 'customer.name == ''中'' && m > 3'", &["5:44: there is no value `m`; there is `n`"]);
    check_rule("require: >\n  n > 1 &&\n\n    m > 3", &["8:7: there is no value `m`; there is `n`"]);
    check_rule("require: |\n  n > 1 &&\n    m > 3", &["7:7: there is no value `m`; there is `n`"]);
    check_rule("require: n > 1\n  && m > 3", &["6:8: there is no value `m`; there is `n`"]);
    check_rule("require: n > 1 and n < 3", &["5:18: `and` is written `&&`"]);
    check_rule(
        "require: !customer.vip",
        &["5:12: YAML takes `!customer.vip` for a tag; put a condition that begins with `!` in quotes"],
    );
}

#[test]
fn durations_have_units() {
    let reason = "is not a duration; write whole numbers with the units ms, s, m, h, d, w, such as `90d` or `1d12h`";
    check_rule(
        "for: 0\ncooldown: 1y\nkeep_firing_for: 1.5d",
        &[&format!("5:8: `0` {reason}"), &format!("6:13: `1y` {reason}"), &format!("7:20: `1.5d` {reason}")],
    );
    check_rule(
        "for: [1d]\ncooldown:",
        &["5:8: `for` needs a text, this is a list", "6:11: `cooldown` needs a text, this is empty"],
    );
}

#[test]
fn texts_name_what_there_is() {
    let summary = |text: &str| format!("annotations: {{summary: {{en: \"{text}\"}}}}");
    check_rule(&summary("{{ n }} {{severity}}{{ customer_id }} {{ rule_id }} {{ customer.anything }}"), &[]);
    check_rule(
        &summary("中 {{ m }}"),
        &["5:37: there is no value `m`; there is `n`, `severity`, `customer_id`, `rule_id`"],
    );
    check_rule(
        &summary("{{ custmer.name }} {{ sevrity }}"),
        &[
            "5:35: there is no value `custmer.name`; did you mean `customer.name`?",
            "5:54: there is no value `sevrity`; did you mean `severity`?",
        ],
    );
    check_rule(
        &summary("{{ n + 1 }}"),
        &["5:35: between `{{` and `}}` stands one name, nothing else; `n + 1` is none"],
    );
    check_rule(
        &summary("{{ }} {{ n"),
        &["5:35: a name is missing between `{{` and `}}`", "5:38: this `{{` has no `}}`"],
    );
    check_rule(
        &summary("{{ trigger.amount }} {{ customer.id }}"),
        &[
            "5:35: `trigger` belongs to rules with a `trigger`",
            "5:56: `id` belongs to events and is no attribute of the customer",
        ],
    );
    check_rule(
        "annotations: {sumary: {en: x}}",
        &["5:17: there is no key `sumary` in `annotations`; did you mean `summary`?"],
    );
    check_rule(
        "annotations: {summary: x}",
        &["5:26: `summary` needs a mapping such as {en: ..., zh: ...}, this is a text"],
    );
    check_rule(
        "annotations: {summary: {english: x, zh-Hans: x, pt-BR: x}}",
        &["5:27: `english` is no language code; write en, zh, de, pt-BR"],
    );
}

#[test]
fn recipients_and_tasks_are_checked() {
    check_rule(
        "labels: {team: [care], cost: 1.10, none: ~}",
        &["5:18: `team` needs a text, this is a list", "5:44: `none` needs a text, this is empty"],
    );
    check_rule("labels: [care]", &["5:11: `labels` needs a mapping such as {team: care}, this is a list"]);
    check_rule(
        "notify: {roles: [owner]}",
        &["5:11: `notify` needs a list such as [{roles: [owner], channels: [email]}], this is a mapping"],
    );
    check_rule(
        "notify: [{role: [owner]}, {levels: [hi], roles: owner}, owner]",
        &[
            "5:12: this names neither `roles` nor `channels`, so it tells nobody",
            "5:13: there is no key `role` in `notify`; did you mean `roles`?",
            "5:39: there is no severity `hi`; did you mean `high`?",
            "5:51: `roles` needs a list such as [email, sms], this is a text",
            "5:59: an item of `notify` needs a mapping such as {roles: [owner], channels: [email]}, this is a text",
        ],
    );
    check_rule("task: {assignee: owner}", &["5:9: a task needs a `title`, such as {en: Call the customer}"]);
    check_rule(
        "task: {title: {en: '{{ x.y }}'}, asignee: owner, due: 2}",
        &[
            "5:26: there is no value `x.y`; there is `n`, `severity`, `customer_id`, `rule_id`",
            "5:36: there is no key `asignee` in `task`; did you mean `assignee`?",
            "5:57: `2` is not a duration; write whole numbers with the units ms, s, m, h, d, w, such as `90d` or `1d12h`",
        ],
    );
}

#[test]
fn a_value_that_was_refused_is_blamed_once() {
    check(
        "rules:\n- id: a\n  let: {n: {avg: purchase.amuont, over: 7d}}\n  when: n > 3 && n == 'a'\n  annotations: {summary: {en: '{{ n }}'}}",
        &["3:27: `purchase` has no field `amuont`; did you mean `amount`?"],
    );
    check(
        "rules:\n- id: a\n  let: {rhythm: {median_gap: purchase, over: 1y}, quiet: {silence: purchase}}\n  when: quiet > 2.5 * rhythm && m > 3",
        &[
            "3:46: `1y` is not a duration; write whole numbers with the units ms, s, m, h, d, w, such as `90d` or `1d12h`",
            "4:33: there is no value `m`; there is `rhythm`, `quiet`",
        ],
    );
}

#[test]
fn what_is_not_kept_is_beyond_rules() {
    let mut catalog = Catalog::default();
    let field = |name: &str, kept| Field { name: name.into(), kind: FieldKind::Text, kept };
    let fields = || vec![field("page", true), field("text", false)];
    catalog.add("visit", fields(), false).unwrap();
    catalog.add("profile", fields(), true).unwrap();
    let check = |lines: &str, expected: &[(&str, &str)]| {
        let text = format!("rules:\n- id: a\n  {}\n", lines.replace('\n', "\n  "));
        let errors = load(&[source("r.yaml", &text)], &catalog, &Limits::default()).unwrap_err();
        let reason = |(at, of): &(&str, &str)| {
            format!(
                "r.yaml:{at}: the schema of `{of}` says that `text` is not kept (`tocsin.kept`), so no rule can use it"
            )
        };
        assert_eq!(errors.to_string(), expected.iter().map(reason).collect::<Vec<_>>().join("\n"), "{lines}");
    };
    check("let: {n: {distinct: visit.text, over: 7d}}\nwhen: n > 3", &[("3:29", "visit")]);
    check("let: {n: {count: visit, where: event.text == 'a', over: 7d}}\nwhen: n > 3", &[("3:34", "visit")]);
    check("when: customer.text == 'a'", &[("3:9", "profile")]);
    check("trigger: visit\nby: text\nwhen: trigger.text == 'a'", &[("4:7", "visit"), ("5:9", "visit")]);
    check("date: customer.text", &[("3:9", "profile")]);
    check("when: 'true'\nannotations: {summary: {en: '{{ customer.text }}'}}", &[("4:35", "profile")]);
}

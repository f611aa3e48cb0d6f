//! Rule sets that load: what becomes of them, in which order, under which version.

use proptest::prelude::*;
use tocsin_core::alert::Severity;
use tocsin_core::expr::{AttributeRef, Compare, Expr, FieldRef};
use tocsin_core::rule::{
    Aggregate, Let, LetSource, Notify, Presentation, Rule, Selected, Selector, Span, Subject, Task, Template,
    TemplatePart, Window,
};
use tocsin_core::time::DAY;
use tocsin_core::value::OwnedValue;

use super::*;

const COMPLAINT_BURST: &str = r#"
rules:
  - id: complaint-burst
    description: three complaints in a week
    scope: customer.status != "closed"
    let:
      complaints: {count: complaint, where: event.status == "opened", over: 7d}
      spent:      {sum: purchase.amount, over: 30d}
    require: spent >= 0
    levels:
      medium: complaints >= 3
      high: complaints >= 3 && spent > 1000
    for: 1s
    resolve_when: complaints < 1
    keep_firing_for: 2s
    cooldown: 1d
    labels: {team: care, cost: 1.10}
    annotations:
      summary: {en: "{{ complaints }} complaints in 7 days", zh: "7天内{{ complaints }}次投诉"}
    notify: [{levels: [high], roles: [owner, sales_lead], channels: [email]}]
    task: {title: {en: Call the customer, zh: 回访客户}, assignee: owner, due: 2d}
"#;

#[expect(clippy::unnecessary_box_returns, reason = "an expression holds its operands boxed")]
fn pair(left: Expr, right: Expr) -> Box<[Expr; 2]> {
    Box::new([left, right])
}

fn text(text: &str) -> Expr {
    Expr::Constant(OwnedValue::Text(text.into()))
}

fn compare(place: usize, compare: Compare, bound: f64) -> Expr {
    Expr::Compare(compare, pair(Expr::Let(place), Expr::Constant(OwnedValue::Number(bound))))
}

fn window(aggregate: Aggregate, name: &str, field: Option<u16>, filter: Option<Expr>, days: i64) -> Window {
    let selected = Selected { type_id: Catalog::type_id(name), field, filter };
    Window {
        aggregate,
        selector: Selector { types: vec![selected] },
        span: Span::Sliding { over: days * DAY, offset: 0 },
    }
}

fn presentation() -> Presentation {
    let plain = |text: &str| Template { parts: vec![TemplatePart::Text(text.into())] };
    let summary_en = Template { parts: vec![TemplatePart::Let(0), TemplatePart::Text(" complaints in 7 days".into())] };
    let summary_zh =
        vec![TemplatePart::Text("7天内".into()), TemplatePart::Let(0), TemplatePart::Text("次投诉".into())];
    Presentation {
        labels: vec![("team".into(), "care".into()), ("cost".into(), "1.10".into())],
        summary: vec![("en".into(), summary_en), ("zh".into(), Template { parts: summary_zh })],
        notify: vec![Notify {
            levels: vec![Severity::High],
            roles: vec!["owner".into(), "sales_lead".into()],
            channels: vec!["email".into()],
        }],
        task: Some(Task {
            title: vec![("en".into(), plain("Call the customer")), ("zh".into(), plain("回访客户"))],
            assignee: Some("owner".into()),
            due: Some(2 * DAY),
        }),
    }
}

#[test]
fn the_rule_of_the_contract_is_read_in_full() {
    let loaded = load_text(COMPLAINT_BURST).unwrap();
    let opened = Expr::Equal(pair(Expr::Event(FieldRef::Slot(1)), text("opened")));
    let three = || compare(0, Compare::GreaterOrEqual, 3.0);
    let status = Expr::Attribute(AttributeRef::Slot(6));
    let rule = Rule {
        id: "complaint-burst".into(),
        key: RuleKey::of("complaint-burst"),
        // Alerts carry it: a release that computes another one makes every rule a changed rule.
        version: "0a696b8c6dfc52c8".into(),
        description: Some("three complaints in a week".into()),
        subject: Subject::Customer,
        scope: Some(Expr::NotEqual(pair(status, text("closed")))),
        lets: vec![
            Let { name: "complaints".into(), value: LetSource::Window(0) },
            Let { name: "spent".into(), value: LetSource::Window(1) },
        ],
        require: Some(compare(1, Compare::GreaterOrEqual, 0.0)),
        levels: vec![
            (Severity::High, Expr::And(pair(three(), compare(1, Compare::Greater, 1000.0)))),
            (Severity::Medium, three()),
        ],
        hold: 1_000,
        resolve_when: Some(compare(0, Compare::Less, 1.0)),
        keep_firing_for: 2_000,
        cooldown: DAY,
        presentation: presentation(),
    };
    let windows = vec![
        window(Aggregate::Count, "complaint", None, Some(opened), 7),
        window(Aggregate::Sum, "purchase", Some(0), None, 30),
    ];
    assert_eq!(loaded.set, RuleSet { rules: vec![Arc::new(rule)], windows, ..RuleSet::default() });
    assert_eq!(loaded.places, [Place { file: "r.yaml".to_owned(), line: 3, column: 9 }]);
}

#[test]
fn rules_are_ordered_by_file_and_place_and_share_their_windows() {
    let rule = |id: &str| format!("- {{id: {id}, when: n > 1, let: {{n: {{count: purchase, over: 7d}}}}}}\n");
    let sources = [
        source("b.yaml", &format!("rules:\n{}", rule("c"))),
        source("a.yaml", &format!("rules:\n{}{}", rule("z"), rule("b"))),
    ];
    let loaded = load(&sources, &catalog(), &Limits::default()).unwrap();
    let ids: Vec<&str> = loaded.set.rules.iter().map(|rule| &*rule.id).collect();
    assert_eq!((ids, loaded.set.windows.len()), (vec!["z", "b", "c"], 1));
    assert_eq!(load(&[], &catalog(), &Limits::default()), Ok(LoadedRules::default()));
}

#[test]
fn every_problem_of_every_file_is_reported_in_order() {
    let sources = [
        source("b.yaml", "rules:\n- {id: a, when: x}\n"),
        source("a.yaml", "rules:\n- {id: a, when: true, fro: 3}\n- {when: y}\n"),
    ];
    let errors = load(&sources, &catalog(), &Limits::default()).unwrap_err();
    let expected = "a.yaml:2:23: there is no key `fro` in a rule; did you mean `for`?\n\
                    a.yaml:3:3: a rule needs an `id`\n\
                    a.yaml:3:10: there is no value `y`\n\
                    b.yaml:2:8: the id `a` is taken by the rule at a.yaml:2:8\n\
                    b.yaml:2:17: there is no value `x`";
    assert_eq!(errors.to_string(), expected);
}

fn version(rule: &str) -> Box<str> {
    load_text(rule).unwrap_or_else(|errors| panic!("{errors}\n{rule}")).set.rules[0].version.clone()
}

#[test]
fn a_version_stands_for_what_decides() {
    let rule = "rules:\n- id: a\n  scope: customer.vip\n  let: {n: {count: [purchase, complaint], over: 7d}, q: {silence: score}}\n  require: n > 1\n  \
                levels: {low: n > 2 && q > days(1), high: n > 3 && n < 9 && n != 5}\n  for: 1d\n  resolve_when: n < 1\n  keep_firing_for: 1d\n  cooldown: 1d\n";
    let before = version(rule);
    assert_eq!(before.len(), 16);
    let alike = [
        ("id: a", "id: b\n  description: x\n  labels: {a: b}\n  notify: [{roles: [owner]}]"),
        ("n > 1", "\"n>1.0\""),
        ("n > 1", "(n) > 1u"),
        ("n < 9 && n != 5", "(n < 9 && n != 5)"),
        ("days(1)", "hours(24)"),
        ("[purchase, complaint], over: 7d", "[complaint, purchase], over: 168h, offset: 0s"),
        ("cooldown: 1d", "cooldown: 24h"),
        (
            "{low: n > 2 && q > days(1), high: n > 3 && n < 9 && n != 5}",
            "{high: n > 3 && n < 9 && n != 5, low: n > 2 && q > days(1)}",
        ),
        ("{n: {", "{unused: {count: score, over: 1d}, n: {"),
    ];
    for (old, new) in alike {
        assert!(rule.contains(old), "{old}");
        assert_eq!(version(&rule.replacen(old, new, 1)), before, "{new}");
    }
    assert_eq!(
        version(&rule.replace("n >", "m >").replace("n <", "m <").replace("n !=", "m !=").replace("{n:", "{m:")),
        before
    );
    let different = [
        ("  scope: customer.vip\n", ""),
        ("customer.vip", "customer.vips"),
        ("over: 7d", "over: 8d"),
        ("over: 7d", "over: 7d, offset: 1d"),
        ("[purchase, complaint]", "purchase"),
        ("over: 7d", "over: 7d, where: event.status == 'x'"),
        ("{silence: score}", "{silence: score, since: first_seen}"),
        ("n > 1", "n >= 1"),
        ("n > 1", "n > 1.5"),
        ("low:", "medium:"),
        ("n < 9", "n <= 9"),
        ("for: 1d", "for: 2d"),
        ("resolve_when: n < 1", "resolve_when: n < 0"),
        ("  resolve_when: n < 1\n", ""),
        ("keep_firing_for: 1d", "keep_firing_for: 2d"),
        ("cooldown: 1d", "cooldown: 2d"),
    ];
    let mut seen = vec![before];
    for (old, new) in different {
        assert!(rule.contains(old), "{old}");
        let after = version(&rule.replacen(old, new, 1));
        assert!(!seen.contains(&after), "{old} -> {new}");
        seen.push(after);
    }
}

fn file(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/");
    std::fs::read_to_string(format!("{path}{name}")).unwrap()
}

const PACKS: [&str; 5] = ["complaints.yaml", "contact.yaml", "lifecycle.yaml", "purchases.yaml", "starter.yaml"];

/// As one set, in which no id comes twice; each rule speaks both languages and tells somebody.
#[test]
fn the_shipped_packs_load_together() {
    let sources: Vec<Source> = PACKS.iter().map(|name| source(name, &file(name))).collect();
    let loaded = load(&sources, &catalog(), &Limits::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.set.rules.len(), 20);
    for rule in &loaded.set.rules {
        let languages: Vec<&str> = rule.presentation.summary.iter().map(|(language, _)| &**language).collect();
        assert_eq!(languages, ["en", "zh"], "{}", rule.id);
        assert!(!rule.presentation.labels.is_empty() && !rule.presentation.notify.is_empty(), "{}", rule.id);
        assert!(rule.description.is_some(), "{}", rule.id);
    }
    assert_eq!(load_text(&file("starter.yaml")).map(|loaded| loaded.set.rules.len()).ok(), Some(3));
}

const EVERY_OTHER_KIND: &str = r#"
rules:
  - id: complaint-unanswered
    trigger: complaint
    where: event.status == "opened"
    by: ticket_id
    after: 1h
    until: [{complaint: 'event.status in ["answered", "resolved"]'}, {profile: event.ticket_id == "x"}]
    expire: 90d
    let: {n: {count: interaction, over: item}, m: {median_gap: [purchase, score], over: 7d, prior: true}}
    levels: {medium: age >= hours(24) && m > days(1), high: age >= hours(48) && n < 2 && trigger.priority != "low"}
    annotations: {summary: {en: "{{ trigger.category }} for {{ age }}"}}
  - id: birthday
    date: customer.birthday
    lead: 3d
    at: "09:00"
    timezone: Asia/Shanghai
    let: {o: {open: complaint, by: ticket_id, until: [{complaint: event.status == "resolved"}], expire: 9d}, l: {last: purchase.channel, over: 9d}}
    when: o < 2 && l == "web"
"#;

#[test]
fn every_other_kind_loads() {
    let loaded = load_text(EVERY_OTHER_KIND).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((loaded.set.rules.len(), loaded.set.windows.len(), loaded.set.openings.len()), (2, 3, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a file holds, it is read or refused, and what is refused has a place within it.
    #[test]
    fn no_file_brings_the_loader_down(items: bool, cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[-a-z0-9 \n:{}\\[\\]\"'!&*|>#,.?%=()$\u{feff}中]{0,6}"), 1..12)) {
        let whole = if items { EVERY_OTHER_KIND } else { COMPLAINT_BURST };
        let mut text: Vec<char> = whole.chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = load_text(&text) {
            prop_assert!(!errors.problems.is_empty());
            for problem in errors.problems {
                prop_assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
                prop_assert!(problem.line <= text.lines().count() + 1, "{problem}\n{text}");
                prop_assert!(!problem.to_string().contains('\n'));
            }
        }
    }
}

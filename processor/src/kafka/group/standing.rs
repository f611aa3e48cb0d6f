//! Whether a worker may publish for the partitions it holds.
//!
//! The broker checks that offsets come from a member of the group's present generation, not that the member owns the
//! partitions. librdkafka joins again on its own threads, so what it is now is not always what it was when our
//! partitions were assigned.

use crate::kafka::native::Membership;

/// Why not, if not. `assigned_as` is the member that our partitions were assigned to; `before` and `after` were asked
/// around the moment at which librdkafka was asked for the metadata that goes into the transaction.
#[must_use]
pub fn objection(assigned_as: &str, before: &Membership, after: &Membership, lost: bool) -> Option<String> {
    if lost {
        return Some("the group has taken our partitions away".to_owned());
    }
    if before.generation < 0 || before.member.is_empty() {
        // A transaction with generation -1 and no member is not checked at all.
        return Some("this instance is not a member of the group at the moment".to_owned());
    }
    if before != after {
        return Some(format!("the group moved on from generation {} to {}", before.generation, after.generation));
    }
    if before.member != assigned_as {
        // Given up by the group and back as somebody else, librdkafka keeps partitions that others may have owned since.
        return Some("the group had given this instance up; what it held must be restored".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(assigned_as: &str, before: (i32, &str), after: (i32, &str), lost: bool, may_publish: bool) {
        let membership = |(generation, member): (i32, &str)| Membership { generation, member: member.to_owned() };
        let objection = objection(assigned_as, &membership(before), &membership(after), lost);
        assert_eq!(objection.is_none(), may_publish, "{objection:?}");
    }

    #[test]
    fn only_the_member_that_was_assigned_publishes() {
        check("m", (3, "m"), (3, "m"), false, true);
        check("m", (3, "m"), (3, "m"), true, false);
        check("m", (-1, "m"), (-1, "m"), false, false);
        check("m", (3, ""), (3, ""), false, false);
        check("m", (3, "m"), (4, "m"), false, false);
        check("m", (4, "n"), (4, "n"), false, false);
        check("", (3, "m"), (3, "m"), false, false);
        check("", (3, ""), (3, ""), false, false);
    }
}

//! What a request pays for: the message path itself, or what was built on its items.

/// A purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A message from its webhook to the agent's screen, and back to the customer: events, interactions, messages,
    /// presences, waiting rows, feeds, archives.
    Messages,
    /// The rows and documents by which interactions are listed and searched.
    Lists,
    /// The index by which contacts are found.
    Contacts,
    /// Facts, sums and timelines.
    Reports,
    /// Agents' notifications.
    Notices,
}

impl Purpose {
    /// All of them, with their names in the table.
    pub const ALL: [(Purpose, &'static str); 5] = [
        (Purpose::Messages, "message path"),
        (Purpose::Lists, "lists"),
        (Purpose::Contacts, "contacts' index"),
        (Purpose::Reports, "reports"),
        (Purpose::Notices, "notifications"),
    ];

    /// The purpose of writing an item of this kind.
    pub(super) fn of_write(function: &str, kind: &str) -> Self {
        match kind {
            "FACT" | "TL" | "ROLL" => Self::Reports,
            "DOC" => Self::Lists,
            "NAME" | "TAIL" | "LISTED" => Self::Contacts,
            "NOTE" => Self::Notices,
            _ => Self::of_function(function),
        }
    }

    /// The purpose of a read of this kind. `~` marks one that need not be consistent.
    pub(super) fn of_read(function: &str, kind: &str) -> Self {
        Self::of_write(function, kind.trim_end_matches('~'))
    }

    /// The purpose of a message to the queue of this name.
    pub(super) fn of_queue(queue: &str) -> Self {
        let of_reports = ["ReportQueue", "RollupQueue"].iter().any(|name| queue.contains(name));
        if of_reports { Self::Reports } else { Self::Messages }
    }

    fn of_function(function: &str) -> Self {
        match function {
            "report" => Self::Reports,
            "index" => Self::Contacts,
            _ => Self::Messages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reports_read_of_a_conversation_is_theirs_and_what_the_router_reads_is_the_messages() {
        assert_eq!(Purpose::of_read("report", "CONV HIS"), Purpose::Reports);
        assert_eq!(Purpose::of_read("route", "CONV INT"), Purpose::Messages);
        assert_eq!(Purpose::of_write("push", "NOTE"), Purpose::Notices);
        assert_eq!(Purpose::of_write("archive", "DOC"), Purpose::Lists);
        assert_eq!(Purpose::of_read("agent-api", "NAME~"), Purpose::Contacts);
    }

    #[test]
    fn a_queue_is_known_by_its_name() {
        let of = ["cost-ReportQueue-A", "cost-RollupQueue-B.fifo", "cost-PushQueue-C.fifo"].map(Purpose::of_queue);
        assert_eq!(of, [Purpose::Reports, Purpose::Reports, Purpose::Messages]);
    }
}

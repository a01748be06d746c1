//! What the log shows of each request: the fields of the log line, and how much of the query.

use clap::ValueEnum;

/// Field of the log line of a request (`--log-fields`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum LogField {
    /// All fields from method to trace
    Default,
    /// Method of the request
    Method,
    /// Target of the request as the client sent it (see --log-query)
    Target,
    /// Status of the response
    Status,
    /// Length of the response body in bytes
    Length,
    /// Address of the client
    Client,
    /// Time from the end of the request head to the response, in microseconds
    TimeUs,
    /// Site, unless it is the default one
    Site,
    /// Number of the version that was called
    Version,
    /// Id of the request
    Id,
    /// Id of the trace (--traceparent)
    Trace,
    /// Id of the host's span
    Span,
    /// Id of the span that caused the request
    Parent,
    /// Host that the request names
    Host,
    /// Version of HTTP of the request
    Protocol,
    /// Header user-agent of the request
    UserAgent,
    /// Header referer of the request, without user information
    Referer,
    /// Address of the connection's other end, such as a proxy
    Peer,
    /// Bytes that were received for the request
    BytesIn,
    /// Bytes that were sent for the response
    BytesOut,
    /// Time for which the call of the handler waited, in microseconds
    QueueUs,
    /// Time for which the call of the handler ran, in microseconds
    CallUs,
    /// Name of the fault, if there is one; logged even if it is not listed
    Fault,
    /// Cause of the fault, if there is one; logged even if it is not listed
    Cause,
}

/// Set of fields in the log line of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFields(u32);

impl LogFields {
    /// Fields that are logged by default.
    pub const DEFAULT: LogFields = {
        use LogField::{Client, Id, Length, Method, Site, Status, Target, TimeUs, Trace, Version};
        LogFields(
            bit(Method)
                | bit(Target)
                | bit(Status)
                | bit(Length)
                | bit(Client)
                | bit(TimeUs)
                | bit(Site)
                | bit(Version)
                | bit(Id)
                | bit(Trace),
        )
    };

    /// Returns the set of fields for a number that [`LogFields::bits`] has returned.
    pub(crate) const fn from_bits(bits: u32) -> LogFields {
        LogFields(bits)
    }

    /// Returns the set as a number, with one bit for each field.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether a field is in the set.
    pub fn has(self, field: LogField) -> bool {
        self.0 & bit(field) != 0
    }
}

const fn bit(field: LogField) -> u32 {
    1 << field as u32
}

impl<'a> FromIterator<&'a LogField> for LogFields {
    fn from_iter<I: IntoIterator<Item = &'a LogField>>(fields: I) -> LogFields {
        let bits = |field: &LogField| match field {
            LogField::Default => LogFields::DEFAULT.0,
            field => bit(*field),
        };
        LogFields(fields.into_iter().map(bits).fold(0, |all, bits| all | bits))
    }
}

/// How much of a request's query is shown (`--log-query`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogQuery {
    /// The whole query
    Keep,
    /// The names in the query, with * in place of each value
    Mask,
    /// Nothing of the query
    Drop,
}

#[cfg(test)]
mod tests {
    use super::{LogField, LogFields};

    #[test]
    fn the_default_stands_for_its_fields() {
        let set = |fields: &[LogField]| fields.iter().collect::<LogFields>();
        assert_eq!(set(&[LogField::Default]), LogFields::DEFAULT);
        let fields = set(&[LogField::Default, LogField::Host, LogField::Method]);
        assert!(fields.has(LogField::Method) && fields.has(LogField::Host) && !fields.has(LogField::Peer));
        assert!(!set(&[LogField::Host]).has(LogField::Method));
    }
}

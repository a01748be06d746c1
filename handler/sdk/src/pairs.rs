//! Name-value pairs of a query or of an HTML form.

use crate::Request;
use crate::bytes::{Split, split_once};
use crate::encoded::Encoded;

impl<'a> Request<'a> {
    /// Returns the name-value pairs of the query in order.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let request = Request::parse(b"GET /find?q=a%26b&tag=x&tag=y HTTP/1.1\r\n\r\n").unwrap();
    /// assert!(request.query_pairs().next().is_some_and(|(name, value)| name.is("q") && value.is("a&b")));
    /// assert_eq!(request.query_pairs().filter(|(name, _)| name.is("tag")).count(), 2);
    /// ```
    pub fn query_pairs(&self) -> Pairs<'a> {
        Pairs::of(self.query_bytes())
    }

    /// Returns the first value of this name in the query.
    pub fn query_value(&self, name: &str) -> Option<Encoded<'a>> {
        self.query_pairs().value(name)
    }

    /// Returns the names and values of a form in the body. Empty unless `content-type` is
    /// `application/x-www-form-urlencoded`, the default of HTML forms.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let request = Request::parse(b"POST / HTTP/1.1\r\n\
    ///     content-type: application/x-www-form-urlencoded\r\n\
    ///     content-length: 11\r\n\r\ntext=a+note").unwrap();
    /// assert!(request.form().value("text").is_some_and(|text| text.is("a note")));
    /// ```
    pub fn form(&self) -> Pairs<'a> {
        let is_form = self.media_type().eq_ignore_ascii_case(Pairs::MEDIA_TYPE.as_bytes());
        Pairs::of(if is_form { self.body() } else { &[] })
    }

    /// Returns the media type of the body: the field `content-type` up to the first `;`.
    /// Empty if there is no such field.
    pub fn media_type(&self) -> &'a [u8] {
        let value = self.field("content-type").unwrap_or_default();
        split_once(value, b';').map_or(value, |(media_type, _)| media_type).trim_ascii_end()
    }
}

/// Iterator over the names and values of `name=value&name=value`. A piece without `=` is
/// a name with an empty value. Empty pieces are skipped.
#[derive(Clone, Debug)]
pub struct Pairs<'a>(Split<'a>);

impl<'a> Pairs<'a> {
    /// Media type of an HTML form.
    pub(crate) const MEDIA_TYPE: &'static str = "application/x-www-form-urlencoded";

    const fn of(bytes: &'a [u8]) -> Self {
        Pairs(Split::new(bytes, b'&'))
    }

    /// Returns the first value of this name among the pairs that the iterator has not returned yet.
    /// Does not advance the iterator.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let request = Request::parse(b"GET /?user=ada&role=admin HTTP/1.1\r\n\r\n").unwrap();
    /// let pairs = request.query_pairs();
    /// assert!(pairs.value("role").is_some_and(|role| role.is("admin")));
    /// assert!(pairs.value("user").is_some_and(|user| user.is("ada")));
    /// ```
    pub fn value(&self, name: &str) -> Option<Encoded<'a>> {
        self.clone().find(|(each, _)| each.is(name)).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Encoded<'a>, Encoded<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.find(|piece| !piece.is_empty())?;
        let (name, value) = split_once(pair, b'=').unwrap_or((pair, &[]));
        Some((Encoded::form(name), Encoded::form(value)))
    }
}

#[cfg(test)]
mod tests {
    use crate::Request;
    use std::prelude::rust_2024::*;
    use std::{format, vec};

    fn pairs(query: &str) -> Vec<(String, String)> {
        let bytes = format!("GET /{query} HTTP/1.1\r\n\r\n");
        let request = Request::parse(bytes.as_bytes()).unwrap();
        let text = |raw: &[u8]| String::from_utf8(raw.to_vec()).unwrap();
        request.query_pairs().map(|(name, value)| (text(name.raw()), text(value.raw()))).collect()
    }

    #[test]
    fn every_query_has_its_pairs() {
        let expected = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(pairs(""), vec![]);
        assert_eq!(pairs("?"), vec![]);
        assert_eq!(pairs("?&&"), vec![]);
        assert_eq!(pairs("?a"), expected(&[("a", "")]));
        assert_eq!(pairs("?a=&=b&="), expected(&[("a", ""), ("", "b"), ("", "")]));
        assert_eq!(pairs("?a=b=c&a=%20"), expected(&[("a", "b=c"), ("a", "%20")]));
        assert_eq!(pairs("?a=b?c"), expected(&[("a", "b?c")]));
    }

    #[test]
    fn a_body_is_a_form_only_where_its_type_says_so() {
        for (media_type, pairs) in [
            ("content-type: application/x-www-form-urlencoded\r\n", 2),
            ("content-type: Application/X-WWW-Form-URLencoded ; charset=utf-8\r\n", 2),
            ("content-type: text/plain\r\n", 0),
            ("", 0),
        ] {
            let bytes = format!("POST / HTTP/1.1\r\n{media_type}content-length: 7\r\n\r\na=1&b=2");
            assert_eq!(Request::parse(bytes.as_bytes()).unwrap().form().count(), pairs, "{media_type}");
        }
    }
}

//! Methods and sets of methods.

/// Methods that a route can have. HEAD and OPTIONS are added automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET. A route for GET also takes HEAD.
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// Returns the name of the method.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    pub(super) const fn methods(self) -> Methods {
        match self {
            Method::Get => Methods(Methods::GET | Methods::HEAD),
            Method::Post => Methods(Methods::POST),
            Method::Put => Methods(Methods::PUT),
            Method::Patch => Methods(Methods::PATCH),
            Method::Delete => Methods(Methods::DELETE),
        }
    }
}

/// A set of methods, such as those that the field `allow` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    const GET: u8 = 1;
    const HEAD: u8 = 1 << 1;
    const POST: u8 = 1 << 2;
    const PUT: u8 = 1 << 3;
    const PATCH: u8 = 1 << 4;
    const DELETE: u8 = 1 << 5;
    const OPTIONS: u8 = 1 << 6;
    pub(super) const NONE: Methods = Methods(0);
    /// Methods that every route allows.
    pub(super) const ALWAYS: Methods = Methods(Methods::OPTIONS);
    /// GET, HEAD and OPTIONS: the methods of a resource that can only be read.
    pub(crate) const READ: Methods = Methods(Methods::GET | Methods::HEAD | Methods::OPTIONS);
    /// Names of the methods, each at the index of its bit.
    const NAMES: [&'static str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

    /// Creates a set of these methods, with OPTIONS and, if GET is among them, with HEAD.
    pub const fn of(methods: &[Method]) -> Methods {
        let mut set = Methods::ALWAYS;
        let mut rest = methods;
        while let [method, after @ ..] = rest {
            set = set.with(method.methods());
            rest = after;
        }
        set
    }

    /// Returns the set that contains the method with this name (case-sensitive, as in HTTP), or the
    /// empty set if the method is unknown.
    pub(super) fn named(name: &[u8]) -> Methods {
        Methods(match name {
            b"GET" => Methods::GET,
            b"HEAD" => Methods::HEAD,
            b"POST" => Methods::POST,
            b"PUT" => Methods::PUT,
            b"PATCH" => Methods::PATCH,
            b"DELETE" => Methods::DELETE,
            b"OPTIONS" => Methods::OPTIONS,
            _ => 0,
        })
    }

    /// Returns the names of the methods in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        let all = Methods::NAMES.into_iter().enumerate();
        all.filter(move |(bit, _)| self.0 >> bit & 1 == 1).map(|(_, name)| name)
    }

    pub(super) const fn with(self, other: Methods) -> Methods {
        Methods(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Methods) -> Methods {
        Methods(self.0 & other.0)
    }

    pub(super) const fn meets(self, other: Methods) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

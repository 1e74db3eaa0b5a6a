//! Which users a server is for.

/// Which users a server is for. By default its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    users: Users,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Users {
    These(Vec<u32>),
    All,
}

impl Policy {
    /// Only the user whom the server runs as.
    pub fn same_user() -> Self {
        Self::users([syshandle_os::own_user()])
    }

    /// These users, by their numbers.
    pub fn users(users: impl IntoIterator<Item = u32>) -> Self {
        Self { users: Users::These(users.into_iter().collect()) }
    }

    /// Every user of this machine.
    pub fn anyone() -> Self {
        Self { users: Users::All }
    }

    /// As a registration says it.
    pub(crate) fn write(&self) -> String {
        match &self.users {
            Users::All => "\"anyone\"".into(),
            Users::These(_) if *self == Self::same_user() => "\"same\"".into(),
            Users::These(users) => format!("{users:?}"),
        }
    }

    /// In a word, for the environment of a server.
    pub(crate) fn to_word(&self) -> String {
        match &self.users {
            Users::All => ANYONE.into(),
            Users::These(users) => {
                let users: Vec<_> = users.iter().map(u32::to_string).collect();
                users.join(",")
            }
        }
    }

    /// What the word says; `None` when it says nothing.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        if word == ANYONE {
            return Some(Self::anyone());
        }
        let users = word.split(',').filter(|user| !user.is_empty());
        Some(Self::users(users.map(|user| user.parse().ok()).collect::<Option<Vec<_>>>()?))
    }

    /// Whether a client of this user is let in.
    pub fn allows(&self, uid: u32) -> bool {
        match &self.users {
            Users::All => true,
            Users::These(users) => users.contains(&uid),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::same_user()
    }
}

/// The word for every user.
const ANYONE: &str = "anyone";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_it_was_made_of() {
        let policies =
            [Policy::anyone(), Policy::same_user(), Policy::users([]), Policy::users([0, 7, 1000])];
        for policy in policies {
            assert_eq!(Policy::from_word(&policy.to_word()), Some(policy));
        }
        for word in ["any", "-1", "7;8", "7, 8", "4294967296"] {
            assert_eq!(Policy::from_word(word), None, "{word}");
        }
    }
}

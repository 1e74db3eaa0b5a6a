pub(crate) fn is_mutex(_: crate::BorrowedHandle<'_>, _: crate::Rights, _: rustix::fs::SealFlags) -> std::io::Result<bool> { Ok(false) }

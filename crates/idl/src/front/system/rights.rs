//! The access rights that access masks consist of, with their Windows names.

/// Returns the value of an access right, given its Windows name.
pub(crate) fn right(name: &str) -> Option<u32> {
    RIGHTS.iter().find(|(known, _)| *known == name).map(|(_, mask)| *mask)
}

/// Returns the text of an access mask: its name, if no other mask has the same value, or the names
/// of the rights that every kind of object has, and the other bits as a number. The meaning of these
/// bits depends on the kind.
pub(crate) fn mask_text(mask: u32) -> String {
    let mut names = RIGHTS.iter().filter(|(_, bits)| *bits == mask && *bits >= GENERAL);
    if let (Some((name, _)), None) = (names.next(), names.next()) {
        return (*name).to_owned();
    }
    let (mut parts, mut rest) = (Vec::new(), mask);
    for (name, bit) in RIGHTS {
        if bit.is_power_of_two() && *bit >= GENERAL && rest & bit != 0 {
            parts.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 || parts.is_empty() {
        parts.push(format!("{rest:#x}"));
    }
    parts.join(" | ")
}

/// Returns the Windows names of all access rights.
pub(crate) fn rights() -> impl Iterator<Item = &'static str> {
    RIGHTS.iter().map(|(name, _)| *name)
}

/// The lowest bit with the same meaning for every kind of object.
const GENERAL: u32 = 0x0001_0000;

const RIGHTS: &[(&str, u32)] = &[
    ("DELETE", 0x0001_0000),
    ("READ_CONTROL", 0x0002_0000),
    ("WRITE_DAC", 0x0004_0000),
    ("WRITE_OWNER", 0x0008_0000),
    ("SYNCHRONIZE", 0x0010_0000),
    ("STANDARD_RIGHTS_REQUIRED", 0x000f_0000),
    ("STANDARD_RIGHTS_READ", 0x0002_0000),
    ("STANDARD_RIGHTS_WRITE", 0x0002_0000),
    ("STANDARD_RIGHTS_EXECUTE", 0x0002_0000),
    ("STANDARD_RIGHTS_ALL", 0x001f_0000),
    ("ACCESS_SYSTEM_SECURITY", 0x0100_0000),
    ("MAXIMUM_ALLOWED", 0x0200_0000),
    ("GENERIC_ALL", 0x1000_0000),
    ("GENERIC_EXECUTE", 0x2000_0000),
    ("GENERIC_WRITE", 0x4000_0000),
    ("GENERIC_READ", 0x8000_0000),
    ("FILE_READ_DATA", 0x0001),
    ("FILE_LIST_DIRECTORY", 0x0001),
    ("FILE_WRITE_DATA", 0x0002),
    ("FILE_ADD_FILE", 0x0002),
    ("FILE_APPEND_DATA", 0x0004),
    ("FILE_ADD_SUBDIRECTORY", 0x0004),
    ("FILE_CREATE_PIPE_INSTANCE", 0x0004),
    ("FILE_READ_EA", 0x0008),
    ("FILE_WRITE_EA", 0x0010),
    ("FILE_EXECUTE", 0x0020),
    ("FILE_TRAVERSE", 0x0020),
    ("FILE_DELETE_CHILD", 0x0040),
    ("FILE_READ_ATTRIBUTES", 0x0080),
    ("FILE_WRITE_ATTRIBUTES", 0x0100),
    ("FILE_GENERIC_READ", 0x0012_0089),
    ("FILE_GENERIC_WRITE", 0x0012_0116),
    ("FILE_GENERIC_EXECUTE", 0x0012_00a0),
    ("FILE_ALL_ACCESS", 0x001f_01ff),
    ("EVENT_QUERY_STATE", 0x0001),
    ("EVENT_MODIFY_STATE", 0x0002),
    ("EVENT_ALL_ACCESS", 0x001f_0003),
    ("MUTEX_MODIFY_STATE", 0x0001),
    ("MUTANT_QUERY_STATE", 0x0001),
    ("MUTEX_ALL_ACCESS", 0x001f_0001),
    ("SEMAPHORE_MODIFY_STATE", 0x0002),
    ("SEMAPHORE_ALL_ACCESS", 0x001f_0003),
    ("SECTION_QUERY", 0x0001),
    ("SECTION_MAP_WRITE", 0x0002),
    ("SECTION_MAP_READ", 0x0004),
    ("SECTION_MAP_EXECUTE", 0x0008),
    ("SECTION_EXTEND_SIZE", 0x0010),
    ("SECTION_MAP_EXECUTE_EXPLICIT", 0x0020),
    ("SECTION_ALL_ACCESS", 0x000f_001f),
    ("FILE_MAP_COPY", 0x0001),
    ("FILE_MAP_WRITE", 0x0002),
    ("FILE_MAP_READ", 0x0004),
    ("FILE_MAP_EXECUTE", 0x0020),
    ("FILE_MAP_ALL_ACCESS", 0x000f_001f),
    ("PROCESS_TERMINATE", 0x0001),
    ("PROCESS_CREATE_THREAD", 0x0002),
    ("PROCESS_SET_SESSIONID", 0x0004),
    ("PROCESS_VM_OPERATION", 0x0008),
    ("PROCESS_VM_READ", 0x0010),
    ("PROCESS_VM_WRITE", 0x0020),
    ("PROCESS_DUP_HANDLE", 0x0040),
    ("PROCESS_CREATE_PROCESS", 0x0080),
    ("PROCESS_SET_QUOTA", 0x0100),
    ("PROCESS_SET_INFORMATION", 0x0200),
    ("PROCESS_QUERY_INFORMATION", 0x0400),
    ("PROCESS_SUSPEND_RESUME", 0x0800),
    ("PROCESS_QUERY_LIMITED_INFORMATION", 0x1000),
    ("PROCESS_SET_LIMITED_INFORMATION", 0x2000),
    ("PROCESS_ALL_ACCESS", 0x001f_ffff),
    ("THREAD_TERMINATE", 0x0001),
    ("THREAD_SUSPEND_RESUME", 0x0002),
    ("THREAD_GET_CONTEXT", 0x0008),
    ("THREAD_SET_CONTEXT", 0x0010),
    ("THREAD_SET_INFORMATION", 0x0020),
    ("THREAD_QUERY_INFORMATION", 0x0040),
    ("THREAD_SET_THREAD_TOKEN", 0x0080),
    ("THREAD_IMPERSONATE", 0x0100),
    ("THREAD_DIRECT_IMPERSONATION", 0x0200),
    ("THREAD_SET_LIMITED_INFORMATION", 0x0400),
    ("THREAD_QUERY_LIMITED_INFORMATION", 0x0800),
    ("THREAD_RESUME", 0x1000),
    ("THREAD_ALL_ACCESS", 0x001f_ffff),
    ("JOB_OBJECT_ASSIGN_PROCESS", 0x0001),
    ("JOB_OBJECT_SET_ATTRIBUTES", 0x0002),
    ("JOB_OBJECT_QUERY", 0x0004),
    ("JOB_OBJECT_TERMINATE", 0x0008),
    ("JOB_OBJECT_SET_SECURITY_ATTRIBUTES", 0x0010),
    ("JOB_OBJECT_IMPERSONATE", 0x0020),
    ("JOB_OBJECT_ALL_ACCESS", 0x001f_003f),
    ("TOKEN_ASSIGN_PRIMARY", 0x0001),
    ("TOKEN_DUPLICATE", 0x0002),
    ("TOKEN_IMPERSONATE", 0x0004),
    ("TOKEN_QUERY", 0x0008),
    ("TOKEN_QUERY_SOURCE", 0x0010),
    ("TOKEN_ADJUST_PRIVILEGES", 0x0020),
    ("TOKEN_ADJUST_GROUPS", 0x0040),
    ("TOKEN_ADJUST_DEFAULT", 0x0080),
    ("TOKEN_ADJUST_SESSIONID", 0x0100),
    ("TOKEN_ALL_ACCESS", 0x000f_01ff),
    ("KEY_QUERY_VALUE", 0x0001),
    ("KEY_SET_VALUE", 0x0002),
    ("KEY_CREATE_SUB_KEY", 0x0004),
    ("KEY_ENUMERATE_SUB_KEYS", 0x0008),
    ("KEY_NOTIFY", 0x0010),
    ("KEY_CREATE_LINK", 0x0020),
    ("KEY_WOW64_64KEY", 0x0100),
    ("KEY_WOW64_32KEY", 0x0200),
    ("KEY_READ", 0x0002_0019),
    ("KEY_EXECUTE", 0x0002_0019),
    ("KEY_WRITE", 0x0002_0006),
    ("KEY_ALL_ACCESS", 0x000f_003f),
    ("COMPOSITIONOBJECT_READ", 0x0001),
    ("COMPOSITIONOBJECT_WRITE", 0x0002),
    ("COMPOSITIONOBJECT_ALL_ACCESS", 0x0003),
    ("COMPOSITIONSURFACE_READ", 0x0001),
    ("COMPOSITIONSURFACE_WRITE", 0x0002),
    ("COMPOSITIONSURFACE_ALL_ACCESS", 0x0003),
];

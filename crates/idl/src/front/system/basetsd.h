// Integers of fixed sizes, and integers of pointer size.
typedef signed char INT8, *PINT8;
typedef short INT16, *PINT16;
typedef int INT32, *PINT32;
typedef __int64 INT64, *PINT64;
typedef unsigned char UINT8, *PUINT8;
typedef unsigned short UINT16, *PUINT16;
typedef unsigned int UINT32, *PUINT32;
typedef unsigned __int64 UINT64, *PUINT64;
typedef int LONG32, *PLONG32;
typedef __int64 LONG64, *PLONG64;
typedef unsigned int ULONG32, *PULONG32, DWORD32, *PDWORD32;
typedef unsigned __int64 ULONG64, *PULONG64, DWORD64, *PDWORD64;
typedef __int3264 INT_PTR, *PINT_PTR, LONG_PTR, *PLONG_PTR, SSIZE_T, *PSSIZE_T;
typedef unsigned __int3264 UINT_PTR, *PUINT_PTR, ULONG_PTR, *PULONG_PTR, DWORD_PTR, *PDWORD_PTR, SIZE_T, *PSIZE_T;
typedef ULONG_PTR KAFFINITY;
typedef ULONG_PTR HANDLE_PTR;
typedef LONG_PTR SHANDLE_PTR;

"""The TrafficMorph API, version 1: a client with one method per operation, and its models."""

from tm_cli.api.trafficmorph.account import (
    Account,
    AccountFeatures,
    AccountLimits,
    AccountUsage,
    Region,
)
from tm_cli.api.trafficmorph.captures import (
    CaptureAnalysis,
    CaptureGroup,
    CaptureImport,
    CaptureSource,
    CaptureSourceFile,
    CaptureStats,
    CaptureVariable,
    CreatedProfile,
    RatePoint,
    SkippedSelection,
)
from tm_cli.api.trafficmorph.client import (
    TrafficMorphClient,
)
from tm_cli.api.trafficmorph.domains import (
    Domain,
)
from tm_cli.api.trafficmorph.extensions import (
    BaselinePin,
    Calibration,
    Calibrations,
    Detects,
    Plan,
    PlanOption,
    Spread,
)
from tm_cli.api.trafficmorph.fields import (
    LARGEST_INTEGER,
)
from tm_cli.api.trafficmorph.history import (
    HistoryFilters,
    HistoryPage,
    HistoryRow,
    ProfileOption,
    RunComparison,
)
from tm_cli.api.trafficmorph.profiles import (
    ImportedProfile,
    Point,
    Profile,
    ProfileSummary,
)
from tm_cli.api.trafficmorph.runs import (
    Bucket,
    LiveStatus,
    RunControl,
)
from tm_cli.api.trafficmorph.variables_sets import (
    VariablesSet,
)

__all__ = [
    "LARGEST_INTEGER",
    "Account",
    "AccountFeatures",
    "AccountLimits",
    "AccountUsage",
    "BaselinePin",
    "Bucket",
    "Calibration",
    "Calibrations",
    "CaptureAnalysis",
    "CaptureGroup",
    "CaptureImport",
    "CaptureSource",
    "CaptureSourceFile",
    "CaptureStats",
    "CaptureVariable",
    "CreatedProfile",
    "Detects",
    "Domain",
    "HistoryFilters",
    "HistoryPage",
    "HistoryRow",
    "ImportedProfile",
    "LiveStatus",
    "Plan",
    "PlanOption",
    "Point",
    "Profile",
    "ProfileOption",
    "ProfileSummary",
    "RatePoint",
    "Region",
    "RunComparison",
    "RunControl",
    "SkippedSelection",
    "Spread",
    "TrafficMorphClient",
    "VariablesSet",
]
